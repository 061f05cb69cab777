/** Sets of IP addresses, given as single addresses and CIDR ranges. */
import { BlockList, isIP } from 'node:net';

const MAPPED_V4 = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** Whether an address is in one of the ranges. Throws RangeError that names what is neither an address nor a range. */
export function ipRanges(ranges: readonly string[]): (ip: string) => boolean {
  const list = new BlockList();
  for (const range of ranges) add(list, range);
  return (ip) => {
    const plain = plainIp(ip);
    const version = isIP(plain);
    return version !== 0 && list.check(plain, version === 6 ? 'ipv6' : 'ipv4');
  };
}

function add(list: BlockList, range: string): void {
  const [address = '', bits, ...more] = range.split('/');
  const version = isIP(address);
  const most = version === 6 ? 128 : 32;
  const isRange = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  if (version === 0 || !isRange || more.length) {
    throw new RangeError(`${JSON.stringify(range.slice(0, 60))} is no IP address or CIDR range`);
  }
  const plain = plainIp(address);
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4';
  if (bits === undefined) list.addAddress(plain, family);
  else if (plain === address) list.addSubnet(address, Number(bits), family);
  else throw new RangeError(`${JSON.stringify(range)}: write the range of IPv4 addresses itself`);
}

/** "::ffff:10.0.0.5" is 10.0.0.5, so that rules for IPv4 hold for it. */
export function plainIp(text: string): string {
  return MAPPED_V4.exec(text)?.[1] ?? text.toLowerCase();
}

/** Whether every address of `inner` is in `outer`; both are addresses or ranges. */
export function isWithin(inner: string, outer: string): boolean {
  const [address = '', bits] = inner.split('/');
  const [outerAddress = '', outerBits] = outer.split('/');
  const whole = isIP(address) === 6 ? 128 : 32;
  const isNarrower = Number(bits ?? whole) >= Number(outerBits ?? whole);
  return isIP(address) === isIP(outerAddress) && isNarrower && ipRanges([outer])(address);
}

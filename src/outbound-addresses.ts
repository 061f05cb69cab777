/**
 * Which addresses a URL that somebody else chose may lead to: the public internet, and what the operator allows by name. IPv6 goes by
 * the one block that is given out for public use, so what is not known here is refused.
 */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ipRanges, plainIp } from './ip-ranges.ts';

/** IANA's special-purpose registry, and the metadata services that stand outside it. */
const isSpecialV4 = ipRanges([
  '0.0.0.0/8', // this network
  '10.0.0.0/8',
  '100.64.0.0/10', // carriers' NAT
  '127.0.0.0/8',
  '168.63.129.16', // Azure's host
  '169.254.0.0/16', // link-local, metadata
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24', // documentation
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
]);
const isGlobalV6 = ipRanges(['2000::/3']);
const isSpecialV6 = ipRanges([
  '2001::/23', // protocols: Teredo, ORCHID, benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: an IPv4 address inside
  '2620:4f:8000::/48',
  '3fff::/20', // documentation
]);

export type AddressPolicy = (address: string) => boolean;

/** `allowed`: CIDRs or single addresses that may be reached although private. `own`: addresses of this machine. */
export function addressPolicy(
  allowed: readonly string[],
  own: () => string[] = ownAddresses,
): AddressPolicy {
  const isAllowed = ipRanges(allowed);
  return (address) => {
    // "fe80::1%eth0": what has a zone is no public address.
    const plain = plainIp(address);
    if (isIP(plain) === 0 || plain.includes('%')) return false;
    return isAllowed(plain) || (isPublic(plain) && !isAmong(plain, own()));
  };
}

function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !isSpecialV4(address);
  return isGlobalV6(address) && !isSpecialV6(address);
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
}

/** Also a public address of this machine leads behind its own door. */
function isAmong(address: string, own: string[]): boolean {
  return ipRanges(own.filter((one) => isIP(one) !== 0 && !one.includes('%')))(address);
}

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { addressPolicy } from '../src/outbound-addresses.ts';
import { nameLookUp } from '../src/outbound-names.ts';
import { Outbound, type OutboundOptions, RefusedUrl } from '../src/outbound.ts';
import { endless, type Receiver, silent, startReceiver, status } from './support/receiver.ts';

const NEVER = () => Promise.reject(new Error('no name was to be looked up'));

function outbound(options: Partial<OutboundOptions> = {}): Outbound {
  return new Outbound({ allowPrivate: [], ports: [0], lookUp: NEVER, ...options });
}

async function ask(
  out: Outbound,
  url: string,
  more: Partial<Parameters<Outbound['request']>[0]> = {},
): Promise<{ status: number; text: string }> {
  const answer = await out.request({ method: 'GET', url, headers: {}, timeoutMs: 5_000, ...more });
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  return { status: answer.status, text: Buffer.concat(chunks).toString() };
}

/** Of a server on every address of this machine. */
async function dialled(run: (receiver: Receiver) => Promise<void>): Promise<number> {
  await using receiver = await startReceiver(status(200), { host: '::' });
  await run(receiver);
  return receiver.connections();
}

describe('addresses', () => {
  const isPublic = addressPolicy([], () => []);

  it('are public or not, by the registries', () => {
    const refused = [
      '0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254',
      '168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1',
      '192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255',
      '240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:a00:1',
      '::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:0:1234::1',
      '2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:0808:0808::1 3fff::1 4000::1 5f00::1 fc00::1',
      'fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 2606:4700::1%eth0 1.2.3 x 127.1 0x7f000001',
    ].flatMap((line) => line.split(' '));
    expect(refused.filter((address) => isPublic(address))).toEqual([]);
    const taken = '1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1';
    const takenV6 = '::ffff:8.8.8.8 2606:4700::1111 2a00:1450:4001::1 2001:4860:4860::8888';
    const all = `${taken} ${takenV6}`.split(' ');
    expect(all.filter((address) => !isPublic(address))).toEqual([]);
  });

  it('of this machine are refused though they are public, unless they are allowed (W-5)', () => {
    const own = () => ['127.0.0.1', '198.41.0.4', '2606:4700::1', 'fe80::1%eth0'];
    const policy = addressPolicy([], own);
    expect(policy('198.41.0.4')).toBe(false);
    expect(policy('2606:4700::1')).toBe(false);
    expect(policy('2606:4700:0:0:0:0:0:1')).toBe(false);
    expect(policy('198.41.0.5')).toBe(true);
    expect(addressPolicy(['198.41.0.4'], own)('198.41.0.4')).toBe(true);
  });

  it('that the operator allows are taken, and no others', () => {
    const policy = addressPolicy(['10.1.0.0/16', 'fd12::/16'], () => []);
    expect(['10.1.2.3', '::ffff:10.1.2.3', 'fd12::7'].map(policy)).toEqual([true, true, true]);
    expect(['10.2.0.1', '127.0.0.1', 'fd13::1'].map(policy)).toEqual([false, false, false]);
  });
});

describe('the way out', () => {
  it('dials no spelling of a private address (W-4)', async () => {
    const count = await dialled(async ({ port }) => {
      for (const host of [
        '127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 017700000001 0177.0.0.1 0 0.0.0.0 127.0.0.1.',
        '[::1] [::] [::127.0.0.1] [::ffff:7f00:1] [::ffff:127.0.0.1] [64:ff9b::7f00:1] [0:0:0:0:0:0:0:1]',
        '①②⑦.⓪.⓪.① 127。0。0。1 １２７.0.0.1 [2002:7f00:1::] 169.254.169.254 [fd00:ec2::254]',
      ].flatMap((line) => line.split(' '))) {
        await expect(ask(outbound(), `http://${host}:${port}/`)).rejects.toThrow(RefusedUrl);
      }
    });
    expect(count).toBe(0);
  });

  it('dials no name of a private address, in whichever way it is written (W-3, W-4)', async () => {
    const lookUp = (name: string) => {
      const known: Record<string, string[]> = {
        'localhost.test': ['127.0.0.1'],
        '127.0.0.1.nip.test': ['127.0.0.1'],
        'six.test': ['::1'],
        'mapped.test': ['::ffff:127.0.0.1'],
        'nat64.test': ['64:ff9b::7f00:1'],
        'mixed.test': ['93.184.216.34', '127.0.0.1'],
        'mixed6.test': ['2606:4700::1111', '::1'],
      };
      return known[name] ? Promise.resolve(known[name]) : nameLookUp()(name);
    };
    const count = await dialled(async ({ port }) => {
      const out = outbound({ lookUp });
      for (const host of [
        'localhost LOCALHOST localhost. api.localhost localhost.test Localhost.Test. 127.0.0.1.nip.test',
        'six.test mapped.test nat64.test mixed.test mixed6.test',
      ].flatMap((line) => line.split(' '))) {
        await expect(ask(out, `http://${host}:${port}/`), host).rejects.toThrow(RefusedUrl);
      }
    });
    expect(count).toBe(0);
  });

  it('dials the very address that was checked, so that a name which changes leads nowhere (W-3)', async () => {
    await using good = await startReceiver(status(200), { host: '127.0.0.2' });
    await using bad = await startReceiver(status(200), { host: '127.0.0.3', port: good.port });
    let asked = 0;
    const lookUp = () => Promise.resolve([`127.0.0.${(asked += 1) === 1 ? 2 : 3}`]);
    const out = outbound({ allowPrivate: ['127.0.0.2'], lookUp });
    const url = `http://hooks.example.com:${good.port}/in?x=1`;
    expect((await ask(out, url)).status).toBe(200);
    expect(asked).toBe(1);
    expect(good.requests[0]).toMatchObject({
      path: '/in?x=1',
      headers: { host: `hooks.example.com:${good.port}` },
    });
    await expect(ask(out, url)).rejects.toThrow(RefusedUrl);
    expect([good.connections(), bad.connections()]).toEqual([1, 0]);
  });

  it('takes http and https on the ports that are allowed, without a user (W-5)', async () => {
    const out = outbound({ ports: [443, 80], lookUp: () => Promise.resolve(['127.0.0.1']) });
    for (const url of [
      'http://x.test:22/',
      'https://x.test:25/',
      'http://x.test:6379/',
      'http://x.test:0/',
      'http://x.test:8402/',
      'file:///etc/passwd',
      'gopher://x.test/',
      'unix:/run/x.sock',
      'http+unix://x/',
      'ftp://x.test/',
      'javascript:alert(1)',
      'data:text/plain,x',
      '//x.test/',
      'x.test',
      '',
      'http://',
      'http://user@x.test/',
      'http://user:pass@x.test/',
      'http://x.test@127.0.0.1/',
      `https://x.test/${'a'.repeat(2_048)}`,
    ]) {
      expect(() => out.parse(url), url).toThrow(RefusedUrl);
    }
    for (const url of [
      'https://x.test',
      'http://x.test:80/a?b',
      'HTTPS://X.test:443/',
      'http://x.test:443',
    ]) {
      expect(out.parse(url).hostname).toBe('x.test');
    }
    const many = outbound({ ports: [443, 8_443] });
    expect(() => many.parse('http://x.test/')).toThrow('port 443 or 8443');
  });

  it('follows no redirect (W-2)', async () => {
    await using target = await startReceiver();
    for (const code of [301, 302, 303, 307, 308]) {
      await using from = await startReceiver(status(code, { location: `${target.origin}/` }));
      const out = outbound({ allowPrivate: ['127.0.0.0/8'] });
      expect((await ask(out, from.origin)).status).toBe(code);
    }
    expect(target.connections()).toBe(0);
  });

  it('knows the channel’s own host, private or not, and no other by that', async () => {
    await using own = await startReceiver(status(200));
    await using other = await startReceiver(status(200));
    const out = outbound({ ports: [443] });
    const trusted = own.origin;
    expect((await ask(out, `${own.origin}/file`, { trusted })).status).toBe(200);
    await expect(ask(out, other.origin, { trusted })).rejects.toThrow('port 443');
    await expect(ask(outbound(), other.origin, { trusted })).rejects.toThrow('public address');
    await expect(ask(out, own.origin)).rejects.toThrow(RefusedUrl);
    expect(other.connections()).toBe(0);
  });

  it('takes no certificate that nobody known has signed', async () => {
    const pem = readFileSync(new URL('fixtures/tls/self-signed.pem', import.meta.url));
    await using receiver = await startReceiver(status(200), { tls: { key: pem, cert: pem } });
    const lookUp = () => Promise.resolve(['127.0.0.1']);
    const out = outbound({ allowPrivate: ['127.0.0.1'], lookUp });
    const url = `https://hooks.example.com:${receiver.port}/`;
    await expect(ask(out, url)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    expect(receiver.requests).toHaveLength(0);
  });

  it('keeps no connection, and ends one that is left in the middle (W-7)', async () => {
    let sent = 0;
    await using receiver = await startReceiver(endless(200, (bytes) => (sent += bytes)));
    const out = outbound({ allowPrivate: ['127.0.0.1'] });
    const left = await out.request({
      method: 'GET',
      url: receiver.origin,
      headers: {},
      timeoutMs: 5_000,
    });
    for await (const chunk of left.body) if (chunk.length) break;
    const unread = await out.request({
      method: 'GET',
      url: receiver.origin,
      headers: {},
      timeoutMs: 5_000,
    });
    await unread.close();
    receiver.usually(status(204));
    expect((await ask(out, receiver.origin)).status).toBe(204);
    expect(receiver.connections()).toBe(3);
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  it('waits no longer than it was told', async () => {
    await using receiver = await startReceiver(silent);
    const out = outbound({ allowPrivate: ['127.0.0.1'] });
    await expect(ask(out, receiver.origin, { timeoutMs: 50 })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    receiver.usually(endless(200));
    await expect(ask(out, receiver.origin, { timeoutMs: 80 })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    const signal = AbortSignal.abort();
    await expect(ask(out, receiver.origin, { signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('asks for no compression, whatever its caller says', async () => {
    await using receiver = await startReceiver();
    const out = outbound({ allowPrivate: ['127.0.0.1'] });
    await ask(out, receiver.origin, { headers: { 'x-one': '1' } });
    expect(receiver.requests[0]!.headers).toMatchObject({
      'accept-encoding': 'identity',
      connection: 'close',
      'x-one': '1',
    });
  });
});

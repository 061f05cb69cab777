import { describe, expect, it } from 'vitest';
import { startApp } from '../support/app.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';

/** Who the server takes a caller with these headers for. */
async function seenAs(trustedProxies: string[], lines: string[], host = '127.0.0.1') {
  await using shop = await startApp({
    environment: { HOST: host },
    change: ({ server }) => {
      server.trustedProxies = trustedProxies;
    },
  });
  const headers = [`Host: localhost:${shop.port}`, ...lines];
  await sendRaw(shop.port, rawRequest('GET /health', headers), { host });
  return shop.logged.find(({ event }) => event === 'request')?.['ip'];
}

describe('the address of a caller (H-8)', () => {
  it.each([
    ['without a trusted proxy', [], ['X-Forwarded-For: 10.0.0.5'], '127.0.0.1'],
    ['behind one', ['127.0.0.0/8'], ['X-Forwarded-For: 203.0.113.7'], '203.0.113.7'],
    [
      'when it put others in front',
      ['127.0.0.0/8'],
      ['X-Forwarded-For: 10.0.0.5, 198.51.100.1, 203.0.113.7'],
      '203.0.113.7',
    ],
    [
      'behind a chain of ours',
      ['127.0.0.1', '10.0.0.0/8'],
      ['X-Forwarded-For: 1.1.1.1, 203.0.113.7, 10.0.0.9, 10.1.2.3'],
      '203.0.113.7',
    ],
    [
      'in several lines, as one list',
      ['127.0.0.1', '10.0.0.0/8'],
      ['X-Forwarded-For: 203.0.113.7', 'X-Forwarded-For: 10.0.0.9'],
      '203.0.113.7',
    ],
    ['in IPv6', ['127.0.0.1'], ['X-Forwarded-For: [2001:DB8::1]:443'], '2001:db8::1'],
    ['as IPv4 in IPv6', ['127.0.0.1'], ['X-Forwarded-For: ::ffff:203.0.113.7'], '203.0.113.7'],
    [
      'behind a proxy written as IPv4 in IPv6',
      ['127.0.0.1', '10.0.0.0/8'],
      ['X-Forwarded-For: 203.0.113.7, ::ffff:10.0.0.1'],
      '203.0.113.7',
    ],
    ['that is no address', ['127.0.0.1'], ['X-Forwarded-For: 8.8.8.8, unknown'], '127.0.0.1'],
    ['behind proxies only', ['127.0.0.0/8'], ['X-Forwarded-For: 127.0.0.2'], '127.0.0.2'],
    ['named nowhere', ['127.0.0.1'], [], '127.0.0.1'],
    [
      'in another header',
      ['127.0.0.1'],
      ['X-Real-IP: 6.6.6.6', 'Forwarded: for=6.6.6.6'],
      '127.0.0.1',
    ],
  ])('is told apart %s', async (_name, trusted, lines, expected) => {
    expect(await seenAs(trusted, lines)).toBe(expected);
  });

  it('that comes over IPv6 matches rules for IPv4', async () => {
    await using shop = await startApp({
      environment: { HOST: '::', PUBLIC_URL: 'https://gw.example.com' },
      change: ({ server }) => {
        server.trustedProxies = ['127.0.0.1'];
      },
    });
    const lines = ['Host: gw.example.com', 'X-Forwarded-For: 203.0.113.7'];
    await sendRaw(shop.port, rawRequest('GET /health', lines));
    const seen = shop.logged.find(({ event }) => event === 'request');
    expect(seen?.['ip']).toBe('203.0.113.7');
  });
});

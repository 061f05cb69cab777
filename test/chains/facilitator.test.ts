import { generateKeyPairSync, verify } from 'node:crypto';
import { type IncomingMessage, createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { SignedPayment } from '../../src/chains/chain.ts';
import { readSettleAnswer, readVerifyAnswer } from '../../src/chains/facilitator-answer.ts';
import { Facilitator } from '../../src/chains/facilitator.ts';
import { systemClock } from '../../src/clock.ts';
import { AppError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { PAY_TO } from '../support/evm-payment.ts';

const HASH = `0x${'ab'.repeat(32)}`;

describe("what a facilitator's answer is worth", () => {
  const read = (status: number, body: unknown, hasEarlierAttempt = false) =>
    readSettleAnswer(status, body, 'eip155', hasEarlierAttempt);

  it.each([
    [200, { success: true, transaction: HASH }, 'success'],
    [200, { success: true, transaction: HASH.toUpperCase().replace('0X', '0x') }, 'success'],
    [200, { success: true, transaction: '' }, 'unknown'],
    [200, { success: true }, 'unknown'],
    [200, { success: 'true', transaction: HASH }, 'unknown'],
    [500, { success: true, transaction: HASH }, 'unknown'],
    [200, { success: false, errorReason: 'insufficient_funds' }, 'refused'],
    [
      400,
      { success: false, errorReason: 'invalid_exact_evm_payload_signature', transaction: '' },
      'refused',
    ],
    [402, { success: false, errorReason: 'invalid_exact_evm_insufficient_balance' }, 'refused'],
    [400, { success: false, errorReason: 'sanctioned_wallet_kyt' }, 'refused'],
    [500, { success: false, errorReason: 'insufficient_funds' }, 'unknown'],
    [429, { success: false, errorReason: 'insufficient_funds' }, 'unknown'],
    [200, { success: false, errorReason: 'insufficient_funds', transaction: HASH }, 'unknown'],
    [200, { success: false, errorReason: 'invalid_exact_evm_nonce_already_used' }, 'unknown'],
    [200, { success: false, errorReason: 'invalid_exact_evm_transaction_failed' }, 'unknown'],
    [
      200,
      { success: false, errorReason: 'invalid_exact_evm_transaction_simulation_failed' },
      'unknown',
    ],
    [200, { success: false, errorReason: 'invalid_transaction_state' }, 'unknown'],
    [200, { success: false, errorReason: 'duplicate_settlement' }, 'unknown'],
    [200, { success: false, errorReason: 'unexpected_settle_error' }, 'unknown'],
    [200, { success: false, errorReason: 'something new' }, 'unknown'],
    [200, { success: false }, 'unknown'],
    [200, null, 'unknown'],
    [200, [], 'unknown'],
    [401, { error: 'unauthorized' }, 'unknown'],
  ])('%i %j means %s', (status, body, kind) => {
    expect(read(status, body).kind).toBe(kind);
  });

  it('is never "refused" for a payment that was handed on before', () => {
    const body = { success: false, errorReason: 'insufficient_funds' };
    expect(read(200, body, true)).toEqual({
      kind: 'unknown',
      reason: 'insufficient_funds',
      transaction: null,
    });
    expect(
      readVerifyAnswer(200, { isValid: false, invalidReason: 'insufficient_funds' }, true),
    ).toMatchObject({
      kind: 'unknown',
    });
  });

  it('carries no text that is not a reason, and bounds its message', () => {
    expect(read(200, { success: false, errorReason: '<script>' })).toMatchObject({
      reason: 'facilitator_gave_no_reason',
    });
    const long = {
      success: false,
      errorReason: 'insufficient_funds',
      errorMessage: 'x'.repeat(5_000),
    };
    const outcome = read(200, long);
    expect(outcome.kind === 'refused' && outcome.message.length).toBeLessThan(300);
  });
});

describe('the address of a facilitator', () => {
  const open = (url: string) =>
    new Facilitator({ config: { kind: 'remote', url, cdp: null }, v1Name: 'base', log: silentLog });

  it.each([
    'http://example.com/x402',
    'http://127.0.0.1.example.com',
    'ftp://example.com',
    'example.com',
    '',
    'https://u:p@example.com',
    'https://example.com/?a=b',
  ])('is refused as %j (P-12)', (url) => {
    expect(() => open(url)).toThrow(AppError);
  });

  it.each([
    'https://x402.org/facilitator',
    'https://x402.org/facilitator/',
    'http://127.0.0.1:4020',
    'http://localhost:1',
    'http://[::1]:1',
  ])('is taken as %j', (url) => {
    expect(() => open(url)).not.toThrow();
  });
});

describe('a facilitator that wants signed requests (CDP)', () => {
  const ed25519 = generateKeyPairSync('ed25519');
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  function edSecret(): string {
    const { d, x } = ed25519.privateKey.export({ format: 'jwk' }) as { d: string; x: string };
    return Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]).toString(
      'base64',
    );
  }

  it.each([
    ['Ed25519 in base64', 'EdDSA', edSecret(), ed25519.publicKey],
    [
      'P-256 in PEM',
      'ES256',
      p256.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
      p256.publicKey,
    ],
    [
      'P-256 in SEC1 PEM on one line',
      'ES256',
      (p256.privateKey.export({ format: 'pem', type: 'sec1' }) as string).replaceAll('\n', '\\n'),
      p256.publicKey,
    ],
  ])('gets a token bound to the call, signed with %s', async (_, alg, keySecret, publicKey) => {
    const seen = await listen({ success: false, errorReason: 'insufficient_funds' });
    try {
      const client = new Facilitator({
        config: {
          kind: 'remote',
          url: `${seen.url}/platform/v2/x402`,
          cdp: { keyId: 'key-1', keySecret },
        },
        v1Name: 'base',
        log: silentLog,
        clock: { nowMs: () => 1_795_220_000_000 },
      });
      await client.settle(fakePayment(), evmRequirements());
      const [path, bearer] = seen.requests.at(-1)!;
      expect(path).toBe('/platform/v2/x402/settle');
      const [head, claims, signature] = bearer!.replace('Bearer ', '').split('.') as [
        string,
        string,
        string,
      ];
      expect(decode(head)).toMatchObject({
        alg,
        kid: 'key-1',
        typ: 'JWT',
        nonce: expect.stringMatching(/^[0-9a-f]{32}$/),
      });
      expect(decode(claims)).toEqual({
        sub: 'key-1',
        iss: 'cdp',
        aud: ['cdp_service'],
        uris: [`POST ${new URL(seen.url).host}/platform/v2/x402/settle`],
        iat: 1_795_220_000,
        nbf: 1_795_220_000,
        exp: 1_795_220_120,
      });
      const key = { key: publicKey, dsaEncoding: 'ieee-p1363' as const };
      const digest = alg === 'EdDSA' ? null : 'sha256';
      const text = Buffer.from(`${head}.${claims}`);
      expect(verify(digest, text, key, Buffer.from(signature, 'base64url'))).toBe(true);
      expect(decode(seen.requests[0]![1]!.split('.')[1]!)).toMatchObject({
        uris: [`GET ${new URL(seen.url).host}/platform/v2/x402/supported`],
      });
    } finally {
      await seen.close();
    }
  });

  it.each([
    '',
    'secret-of-mine',
    Buffer.alloc(32).toString('base64'),
    '-----BEGIN PRIVATE KEY-----\nsecret-of-mine\n-----END PRIVATE KEY-----',
  ])('refuses the secret %j without showing it', (keySecret) => {
    const config = {
      kind: 'remote',
      url: 'https://x.example',
      cdp: { keyId: 'k', keySecret },
    } as const;
    const open = () => new Facilitator({ config, v1Name: null, log: silentLog });
    expect(open).toThrow(/cdp_key_secret must be/);
    expect(open).not.toThrow(/secret-of-mine/);
  });
});

describe('the list of what a facilitator settles', () => {
  it('is kept for five minutes, and longer while nobody answers', async () => {
    let nowMs = 0;
    const seen = await listen({
      kinds: [
        { x402Version: 2, scheme: 'exact', network: 'eip155:8453' },
        { x402Version: 9 },
        null,
      ],
    });
    const client = new Facilitator({
      config: { kind: 'remote', url: seen.url, cdp: null },
      v1Name: 'base',
      log: silentLog,
      clock: { nowMs: () => nowMs },
    });
    const kind = { x402Version: 2, scheme: 'exact', network: 'eip155:8453', extra: {} };
    expect(await client.supported()).toEqual([kind]);
    nowMs += 299_000;
    expect(await client.kindFor('eip155:8453')).toEqual(kind);
    expect(await client.kindFor('eip155:10')).toBeNull();
    expect(seen.requests).toHaveLength(1);
    nowMs += 2_000;
    await client.supported();
    expect(seen.requests).toHaveLength(2);
    await seen.close();
    nowMs += 3_600_000;
    expect(await client.supported()).toEqual([kind]);
  });
});

interface Listener {
  url: string;
  /** Path and authorization header of every request. */
  requests: [path: string, authorization: string | undefined][];
  close(): Promise<void>;
}

async function listen(answer: unknown): Promise<Listener> {
  const requests: Listener['requests'] = [];
  const server = createServer((request: IncomingMessage, response) => {
    requests.push([request.url ?? '', request.headers.authorization]);
    response.setHeader('content-type', 'application/json');
    request.resume().on('end', () => response.end(JSON.stringify(answer)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function evmRequirements() {
  return {
    scheme: 'exact' as const,
    network: 'eip155:8453',
    amount: '1',
    asset: '0x1',
    payTo: PAY_TO,
    maxTimeoutSeconds: 300,
    extra: {},
  };
}

function fakePayment(): SignedPayment {
  return {
    network: 'eip155:8453',
    family: 'eip155',
    asset: '0x1',
    payer: '0x2',
    payTo: PAY_TO,
    amount: 1n,
    identity: HASH,
    validBeforeSeconds: Math.floor(systemClock.nowMs() / 1_000) + 300,
    payload: { transaction: '' },
  };
}

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
}

import { describe, expect, it } from 'vitest';
import { chatBody, decoded, listOf, PLAY_EVM, PLAY_SOLANA, startApp } from '../support/app.ts';

describe('a request without credentials', () => {
  it('is asked for what it may cost, rounded up to a cent, and told how to sign in', async () => {
    await using shop = await startApp();
    // 4,096 tokens out at $2 a million are 0.8 cents; 50 times the choices make it dearer than the least that is asked for.
    const answer = await shop.chat({}, { max_tokens: 4_096, n: 8 });
    expect(answer.status).toBe(402);
    const { x402Version, accepts, resource, extensions, authOptions, error } = answer.json;
    expect(x402Version).toBe(2);
    expect(listOf(accepts).map(({ network }) => network)).toEqual([PLAY_EVM, PLAY_SOLANA]);
    for (const each of listOf(accepts)) {
      expect(each).toMatchObject({ scheme: 'exact', amount: '70000' });
      expect(each['maxTimeoutSeconds']).toBeLessThanOrEqual(300);
    }
    expect(resource).toEqual({
      url: `${shop.url}/v1/chat/completions`,
      description: 'One chat completion',
      mimeType: 'application/json',
    });
    expect(error).toMatchObject({ type: 'gateway_error', code: 'payment_required' });
    const challenge = extensions!['sign-in-with-x']!;
    expect(challenge['info']).toMatchObject({
      domain: new URL(shop.url).host,
      uri: `${shop.url}/v1/chat/completions`,
      version: '1',
    });
    expect(challenge['supportedChains']).toEqual([
      { chainId: PLAY_EVM, type: 'eip191' },
      { chainId: PLAY_SOLANA, type: 'ed25519' },
    ]);
    for (const way of ['apiKey', 'x402Wallet']) expect(authOptions![way]).toHaveProperty('docs');
  });

  it('is asked for at least the inline minimum', async () => {
    await using shop = await startApp();
    const answer = await shop.chat({}, { max_tokens: 1 });
    expect(answer.json['accepts']![0]).toMatchObject({ amount: '50000' });
  });

  it.each([
    ['an empty body', ''],
    ['no JSON', '{"model":'],
    ['an unknown model', JSON.stringify({ model: 'nothing', messages: [] })],
  ])('is asked for the least top-up before %s is complained about', async (_what, body) => {
    await using shop = await startApp();
    const answer = await shop.post('/v1/chat/completions', body);
    expect(answer.status).toBe(402);
    expect(answer.json['accepts']![0]).toMatchObject({ amount: '1000000' });
  });

  it('is priced from the first 256 KiB of a large body, and reads the answer though it sends on', async () => {
    await using shop = await startApp();
    const content = 'word '.repeat(1_000_000);
    const answer = await shop.post(
      '/v1/chat/completions',
      chatBody({ messages: [{ role: 'user', content }] }),
    );
    expect(answer.status).toBe(402);
    expect(Number(answer.json['accepts']![0]!['amount'])).toBeGreaterThanOrEqual(50_000);
    // The connection is as good as new.
    expect((await shop.get('/health')).status).toBe(200);
  });

  it('finds the same in header and body, and nothing in between may keep it (P-20, H-12)', async () => {
    await using shop = await startApp();
    for (const path of ['/v1/chat/completions', '/api/v1/chat/completions']) {
      const answer = await shop.post(path, chatBody());
      const header = decoded(answer.headers.get('payment-required'));
      const { authOptions: _options, error, ...body } = answer.json;
      const { error: headerError, ...rest } = header;
      expect(body).toEqual(rest);
      expect([error, error!['message']]).toContain(headerError);
      expect(answer.headers.get('cache-control')).toBe('private, no-store');
      const vary = answer.headers.get('vary')!.toLowerCase();
      for (const name of ['authorization', 'x-api-key', 'sign-in-with-x', 'payment-signature']) {
        expect(vary).toContain(name);
      }
      expect(answer.headers.get('payment-required')!.length).toBeLessThan(3_500);
    }
  });

  it('reads on /api/v1 the shape of Venice, its error a text', async () => {
    await using shop = await startApp();
    const answer = await shop.post('/api/v1/chat/completions', chatBody());
    const { json } = answer;
    expect(Object.keys(json).toSorted()).toEqual(
      ['accepts', 'authOptions', 'error', 'extensions', 'resource', 'x402Version'].toSorted(),
    );
    expect(typeof json['error']).toBe('string');
    expect(json['authOptions']!['x402Wallet']).toEqual({
      header: 'SIGN-IN-WITH-X',
      legacyHeader: 'X-Sign-In-With-X',
      topUp: `POST ${shop.url}/api/v1/x402/top-up`,
      docs: `${shop.url}/auth.md`,
    });
    expect((await shop.get('/auth.md')).text).toContain(shop.url);
  });

  it('names its own URL only, whatever Host and X-Forwarded-Host say (H-9, K-3)', async () => {
    await using shop = await startApp({
      change: ({ server }) => {
        server.publicUrl = 'https://gw.example.com';
      },
    });
    const answer = await shop.chat({
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
    });
    expect(answer.status).toBe(402);
    const header = Buffer.from(answer.headers.get('payment-required')!, 'base64').toString();
    expect(answer.text + header).not.toContain('evil.example');
    expect(answer.json['resource']!['url']).toBe('https://gw.example.com/v1/chat/completions');
    expect(answer.json['extensions']!['sign-in-with-x']!['info']!['domain']).toBe('gw.example.com');
  });

  it('is sent for an API key where nobody can pay', async () => {
    await using shop = await startApp({ change: ({ payments }) => void (payments.networks = []) });
    const answer = await shop.chat({});
    expect(answer.status).toBe(401);
    expect(answer.json['error']!['code']).toBe('invalid_credential');
  });
});

describe('a wallet that is signed in', () => {
  it('without a balance is told what is missing, in the shape of Venice', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const answer = await shop.post('/api/v1/chat/completions', chatBody({ max_tokens: 4_096 }), {
      'sign-in-with-x': await wallet.signIn(),
    });
    expect(answer.status).toBe(402);
    expect(answer.json).toMatchObject({
      error: 'Payment required',
      code: 'PAYMENT_REQUIRED',
      reason: 'insufficient_balance',
      currentBalanceUsd: 0,
      minimumBalanceUsd: 0.01,
      suggestedTopUpUsd: 10,
      minimumTopUpUsd: 1,
      supportedTokens: ['USDC'],
      supportedChains: ['base-sepolia', 'solana-devnet'],
      topUpInstructions: { tokenDecimals: 6, network: PLAY_EVM, minimumAmountUsd: 1 },
    });
    expect(Object.keys(answer.json['siwxChallenge']!)).toEqual(['info', 'supportedChains']);
    expect(answer.json).not.toHaveProperty('accepts');
    const header = decoded(answer.headers.get('payment-required'));
    expect(header['accepts']![0]!['amount']).toBe('50000');
  });

  it('reads on /v1 an error object, and what it may pay', async () => {
    await using shop = await startApp();
    const wallet = await shop.solana();
    const answer = await shop.chat({ 'x-sign-in-with-x': await wallet.signIn() });
    expect(answer.status).toBe(402);
    expect(answer.json['error']).toMatchObject({
      type: 'gateway_error',
      code: 'insufficient_credits',
    });
    expect(answer.json['accepts']).toEqual(
      decoded(answer.headers.get('payment-required'))['accepts'],
    );
  });

  it('with less than the minimum balance is sold nothing, however cheap', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm('0.009999999');
    const answer = await shop.chat({ 'sign-in-with-x': await wallet.signIn() }, { max_tokens: 1 });
    expect(answer.status).toBe(402);
    expect(shop.upstream.requests).toHaveLength(0);
    expect(answer.json['currentBalanceUsd']).toBe(0.009999999);
  });

  it('is never told to pay for anything else', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm('1');
    const wrongs: [number, object][] = [
      [400, { messages: 'none' }],
      [404, { model: 'nothing' }],
      [400, { service_tier: 'priority' }],
    ];
    for (const [status, more] of wrongs) {
      const answer = await shop.chat({ 'sign-in-with-x': await wallet.signIn() }, more);
      expect(answer.status).toBe(status);
    }
    await shop.check();
  });
});

describe('an API key whose account is empty', () => {
  it('gets 402 without anything to pay with', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key('0');
    const v1 = await shop.chat({ authorization: `Bearer ${secret}` });
    expect(v1.status).toBe(402);
    expect(Object.keys(v1.json)).toEqual(['error']);
    expect(Object.keys(v1.json['error']!)).toEqual(['message', 'type', 'code']);
    expect(v1.json['error']!['code']).toBe('insufficient_credits');
    expect(v1.headers.get('payment-required')).toBeNull();
    const venice = await shop.post('/api/v1/chat/completions', chatBody(), { 'x-api-key': secret });
    expect(venice.status).toBe(402);
    expect(Object.keys(venice.json)).toEqual(['error', 'code']);
    expect(venice.json['code']).toBe('INSUFFICIENT_BALANCE');
  });
});

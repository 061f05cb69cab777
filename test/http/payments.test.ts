import { describe, expect, it } from 'vitest';
import { chatBody, decoded, MODEL_ID, startApp } from '../support/app.ts';
import { goodStream, json } from '../support/upstream.ts';

const CHAT = '/v1/chat/completions';

describe('a payment on an inference route', () => {
  it.each(['payment-signature', 'x-payment', 'x-402-payment'])(
    'in %s is credited to its payer and serves the request; the rest stays',
    async (name) => {
      await using shop = await startApp();
      const wallet = await shop.evm();
      const answer = await shop.chat({ [name]: await wallet.pay('0.05') });
      expect(answer.status).toBe(200);
      expect(answer.json['choices']![0]!['message']!['content']).toBe('Hello there.');
      const settled = decoded(answer.headers.get('payment-response'));
      expect(settled).toMatchObject({ success: true, payer: wallet.address, amount: '50000' });
      expect(answer.headers.get('x-payment-response')).toBe(answer.headers.get('payment-response'));
      // 20 tokens in and 5 out, at $0.25 and $2 a million.
      expect(answer.headers.get('x-request-cost')).toBe('0.000015');
      expect(answer.headers.get('x-balance-remaining')).toBe('0.049985');
      expect(await shop.balanceOf(wallet)).toBe(49_985_000);
      await shop.check();
    },
  );

  it('buys that one request: sent again, or read off the chain, it spends nothing of the balance', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const payment = { 'payment-signature': await wallet.pay('1') };
    expect((await shop.chat(payment)).status).toBe(200);
    for (const more of [{}, { temperature: 1 }]) {
      const again = await shop.chat(payment, more);
      expect(again.status).toBe(409);
      expect(again.json['error']).toMatchObject({
        code: 'payment_conflict',
        details: { reason: 'already_used' },
      });
    }
    // A payment that topped up buys nothing inline, whoever sends it.
    const header = await wallet.pay('1');
    await shop.post('/x402/top-up', '', { 'x-payment': header });
    expect((await shop.chat({ 'x-payment': header })).status).toBe(409);
    expect(shop.upstream.requests).toHaveLength(1);
    expect(await shop.balanceOf(wallet)).toBe(1_999_985_000);
    // Its wallet spends what is left by signing in, payment or not.
    const signedIn = { 'sign-in-with-x': await wallet.signIn(), 'x-payment': header };
    expect((await shop.chat(signedIn)).status).toBe(200);
    await shop.check();
  });

  it('sent 50 times at once is one credit and serves once', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const header = await wallet.pay('0.5');
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => shop.chat({ 'payment-signature': header })),
    );
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array.from({ length: 49 }, () => 409)]);
    expect(await shop.balanceOf(wallet)).toBe(499_985_000);
    await shop.check();
  });

  it('is not settled for a request that would be refused', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const wrongs: [number, unknown][] = [
      [400, '{"model":'],
      [404, chatBody({ model: 'nothing' })],
      [400, chatBody({ store: true })],
    ];
    const header = await wallet.pay('1');
    for (const [status, body] of wrongs) {
      expect((await shop.post(CHAT, body, { 'x-payment': header })).status).toBe(status);
    }
    for (const wrong of [{ 'x-budget-mode': 'all' }, { 'x-max-credits': '0.000001' }]) {
      expect((await shop.chat({ 'x-payment': header, ...wrong })).status).toBe(400);
    }
    expect(await shop.balanceOf(wallet)).toBe(0);
    expect((await shop.chat({ 'x-payment': header })).status).toBe(200);
    await shop.check();
  });

  it('is kept as balance when the upstream fails', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    shop.upstream.next(json(500, { error: { message: 'no' } }));
    const answer = await shop.chat({ 'x-payment': await wallet.pay('1') });
    expect(answer.status).toBe(502);
    expect(decoded(answer.headers.get('payment-response'))['success']).toBe(true);
    expect(await shop.balanceOf(wallet)).toBe(1_000_000_000);
    await shop.check();
  });

  it('below the inline minimum, or over the maximum, is refused before it is settled (P-17)', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    for (const usd of ['0.049999', '10000.000001']) {
      const answer = await shop.chat({ 'x-payment': await wallet.pay(usd) });
      expect(answer.status).toBe(400);
      expect(answer.json['error']).toMatchObject({
        code: 'invalid_payment',
        details: { reason: 'amount' },
      });
    }
    expect(await shop.balanceOf(wallet)).toBe(0);
  });

  it('that could not buy what it comes for is not settled: the whole price is asked for, and paid once', async () => {
    await using shop = await startApp({
      change: ({ models }) => {
        models[0]!.price.rules = [
          { unit: 'input_token', per: 1, usd: '0' },
          { unit: 'output_token', per: 1, usd: '0.001' },
        ];
      },
    });
    const wallet = await shop.evm();
    const answer = await shop.chat(
      { 'x-payment': await wallet.pay('0.05') },
      { max_tokens: 1_000 },
    );
    expect(answer.status).toBe(402);
    expect(answer.json['accepts']![0]!['amount']).toBe('1000000');
    expect(answer.headers.has('payment-response')).toBe(false);
    expect(await shop.balanceOf(wallet).catch(() => 0)).toBe(0);
    const paid = await shop.chat({ 'x-payment': await wallet.pay('1') }, { max_tokens: 1_000 });
    expect(paid.status).toBe(200);
    expect(decoded(paid.headers.get('payment-response'))['success']).toBe(true);
    await shop.check();
  });

  it('is asked for by the whole length of a body of which only the beginning was read', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const body = {
      ...chatBody(),
      messages: [{ role: 'user', content: 'many words '.repeat(100_000) }],
    };
    const asked = await shop.post('/v1/chat/completions', body);
    const units = Number(asked.json['accepts']![0]!['amount']);
    expect(units).toBeGreaterThan(50_000);
    const usd = (units / 1e6).toFixed(6);
    const paid = await shop.post('/v1/chat/completions', body, {
      'x-payment': await wallet.pay(usd),
    });
    expect(paid.status).toBe(200);
    await shop.check();
  });

  it('that cannot be read is 400, never 402 or 500 (H-2)', async () => {
    await using shop = await startApp();
    const noise = [
      '',
      'null',
      '%%%',
      Buffer.from('not json').toString('base64'),
      Buffer.from('[]').toString('base64'),
      Buffer.from('{"x402Version":2,"__proto__":{"scheme":"exact"}}').toString('base64'),
      Buffer.from(
        '{"x402Version":2,"accepted":{"scheme":"exact","network":"eip155:1"},"payload":{}}',
      ).toString('base64'),
      'A'.repeat(9_000),
    ];
    for (const value of noise) {
      for (const path of [CHAT, '/api/v1/chat/completions', '/x402/top-up', '/v1/x402/top-up']) {
        const answer = await shop.post(path, chatBody(), { 'payment-signature': value });
        expect([path, value.slice(0, 40), answer.status]).toEqual([path, value.slice(0, 40), 400]);
      }
    }
    const venice = await shop.post('/api/v1/chat/completions', chatBody(), { 'x-payment': 'x' });
    expect(venice.json).toMatchObject({
      code: 'X402_INVALID_PAYMENT',
      details: { reason: 'malformed_header' },
    });
  });
});

describe('a payment beside another credential', () => {
  it('of an API key is refused, and not settled', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const { secret } = await shop.key();
    for (const key of [{ authorization: `Bearer ${secret}` }, { 'x-api-key': secret }]) {
      for (const path of [CHAT, '/x402/top-up']) {
        const headers = { ...key, 'x-payment': await wallet.pay('1') };
        const answer = await shop.post(path, path === CHAT ? chatBody() : '', headers);
        expect(answer.status).toBe(400);
        expect(answer.text).toMatch(/conflicting_credentials|CONFLICTING_CREDENTIALS/);
      }
    }
    expect(await shop.balanceOf(wallet)).toBe(0);
  });

  it("of another wallet's sign-in is refused, and not settled", async () => {
    await using shop = await startApp();
    const [payer, other] = [await shop.evm(), await shop.evm('5')];
    const headers = { 'sign-in-with-x': await other.signIn(), 'x-payment': await payer.pay('1') };
    const answer = await shop.chat(headers);
    expect(answer.status).toBe(400);
    expect(answer.json['error']!['code']).toBe('conflicting_credentials');
    expect(await shop.balanceOf(payer)).toBe(0);
    expect(await shop.balanceOf(other)).toBe(5_000_000_000);
  });

  it("of its payer's sign-in is credited and served", async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const headers = { 'sign-in-with-x': await wallet.signIn(), 'x-payment': await wallet.pay('1') };
    expect((await shop.chat(headers)).status).toBe(200);
    expect(await shop.balanceOf(wallet)).toBe(999_985_000);
  });
});

describe('a top-up', () => {
  it('without a payment says what may be paid, and exactly that in its body', async () => {
    await using shop = await startApp();
    for (const path of ['/x402/top-up', '/v1/x402/top-up', '/api/v1/x402/top-up']) {
      const answer = await shop.post(path, '');
      expect(answer.status).toBe(402);
      expect(Object.keys(answer.json)).toEqual(['x402Version', 'accepts']);
      const header = decoded(answer.headers.get('payment-required'));
      expect(header['accepts']).toEqual(answer.json['accepts']);
      expect(header['resource']!['url']).toBe(shop.url + path);
      expect(header['extensions']).toHaveProperty('sign-in-with-x');
      expect(header['extensions']).toHaveProperty('payment-identifier');
      expect(answer.headers.get('payment-required')!.length).toBeLessThan(3_500);
      expect(answer.json['accepts']![0]!['amount']).toBe('1000000');
    }
  });

  it.each([
    ['?amount_usd=12.5', '', '12500000'],
    ['?amount=3', '', '3000000'],
    ['', '{"amount_usd":"7"}', '7000000'],
    ['', '{"amountUsd":8.25}', '8250000'],
    ['', '{}', '1000000'],
  ])('for %s %s asks for %s units', async (query, body, amount) => {
    await using shop = await startApp();
    const answer = await shop.post(`/x402/top-up${query}`, body);
    expect(answer.json['accepts']![0]!['amount']).toBe(amount);
  });

  it('refuses amounts that make no sense, in the words of each dialect', async () => {
    await using shop = await startApp();
    const wrongs = ['0.99', '10000.01', '-5', '1e3', '0x10', '٥', '', 'NaN', '1000000000000'];
    for (const wrong of wrongs) {
      const answer = await shop.post(`/x402/top-up?amount_usd=${encodeURIComponent(wrong)}`, '');
      expect([wrong, answer.status]).toEqual([wrong, 400]);
      expect(answer.json).toMatchObject({ error: 'INVALID_REQUEST', code: 'INVALID_REQUEST' });
      expect(answer.json['message']).toMatch(/between 1\.00 and 10000\.00/);
    }
    expect((await shop.post('/x402/top-up', '{')).status).toBe(400);
    const v1 = await shop.post('/v1/x402/top-up?amount_usd=1&amount_usd=2', '');
    expect(v1.json['error']).toMatchObject({ type: 'gateway_error', code: 'invalid_request' });
  });

  it('is answered as Venice answers, and again in the same words (P-1)', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const header = await wallet.pay('10', 'hybrid');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        shop.post(['/x402', '/v1/x402', '/api/v1/x402'][n % 3] + '/top-up', '', {
          [['x-402-payment', 'x-payment', 'payment-signature'][n % 3]!]: header,
        }),
      ),
    );
    for (const { status, text } of answers) {
      expect(status).toBe(200);
      expect(text).toBe(answers[0]!.text);
    }
    expect(answers[0]!.json).toEqual({
      success: true,
      data: {
        walletAddress: wallet.address,
        amountCredited: 10,
        newBalance: 10,
        paymentId: expect.stringMatching(/^pay_/) as unknown,
      },
    });
    const settled = answers[0]!.headers.get('payment-response');
    expect(decoded(settled)).toMatchObject({ success: true, network: 'eip155:84532' });
    expect(answers[0]!.headers.get('x-payment-response')).toBe(settled);
    expect(await shop.balanceOf(wallet)).toBe(10_000_000_000);
    await shop.check();
  });

  it('of a wallet without funds fails with 400, and says why', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    // A play wallet begins with 1,000 USDC.
    const header = await wallet.pay('5000');
    const answer = await shop.post('/api/v1/x402/top-up', '', { 'payment-signature': header });
    expect(answer.status).toBe(400);
    expect(answer.json['error']).toBe('PAYMENT_VERIFICATION_FAILED');
    expect(typeof answer.json['message']).toBe('string');
    expect(await shop.balanceOf(wallet)).toBe(0);
  });

  it('is kept through a restart: the same payment, the same answer (P-2)', async () => {
    await using first = await startApp();
    const wallet = await first.evm();
    const header = await wallet.pay('2');
    const before = await first.post('/x402/top-up', '', { 'payment-signature': header });
    await first.stop();
    await using second = await startApp({ dataDir: first.dataDir });
    const after = await second.post('/x402/top-up', '', { 'x-payment': header });
    expect(after.text).toBe(before.text);
    expect((await second.chat({ 'x-payment': header })).status).toBe(409);
    await second.check();
  });
});

describe('a streamed request', () => {
  it('paid inline carries the settlement before its first byte', async () => {
    await using shop = await startApp();
    shop.upstream.next(goodStream());
    const wallet = await shop.evm();
    const answer = await shop.post(
      '/api/v1/chat/completions',
      { model: MODEL_ID, stream: true, messages: [{ role: 'user', content: 'Hi' }] },
      { 'payment-signature': await wallet.pay('0.1') },
    );
    expect(answer.status).toBe(200);
    expect(decoded(answer.headers.get('payment-response'))['success']).toBe(true);
    expect(answer.text).toMatch(/: farebox \{"cost":"0\.000015".*\n\ndata: \[DONE\]\n\n$/);
    await shop.check();
  });
});

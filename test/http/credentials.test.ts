import { describe, expect, it } from 'vitest';
import { chatBody, startApp, type TestApp } from '../support/app.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';

const CHAT = '/v1/chat/completions';

/** A chat with exactly these header lines. */
function chatWith(shop: TestApp, lines: string[]) {
  const body = JSON.stringify(chatBody());
  const host = `Host: 127.0.0.1:${shop.port}`;
  const headers = [host, 'Content-Type: application/json', ...lines];
  return sendRaw(shop.port, rawRequest(`POST ${CHAT}`, headers, body));
}

describe('credentials', () => {
  it('are an API key as bearer or x-api-key', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const forms = [
      { authorization: `Bearer ${secret}` },
      { authorization: `bearer  ${secret}` },
      { 'x-api-key': secret },
      { authorization: `Bearer ${secret}`, 'x-api-key': secret },
    ];
    for (const form of forms) {
      const answer = await shop.chat(form);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-request-cost')).toBe('0.000015');
      expect(answer.headers.get('x-balance-held')).toBe('0.000000');
    }
    await shop.check();
  });

  it('are a wallet that signs in, under both names of the header and on both chains', async () => {
    await using shop = await startApp();
    for (const wallet of [await shop.evm('1'), await shop.solana('1')]) {
      for (const name of ['sign-in-with-x', 'x-sign-in-with-x']) {
        for (const path of [CHAT, '/api/v1/chat/completions']) {
          const headers = { [name]: await wallet.signIn() };
          expect((await shop.post(path, chatBody(), headers)).status).toBe(200);
        }
      }
      const header = await wallet.signIn();
      const both = { 'sign-in-with-x': header, 'x-sign-in-with-x': header };
      expect((await shop.chat(both)).status).toBe(200);
    }
    await shop.check();
  });

  it('that are bad are 401, never 402, and say nothing of why a key fails', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const wallet = await shop.evm('1');
    const used = await wallet.signIn();
    expect((await shop.chat({ 'sign-in-with-x': used })).status).toBe(200);
    const bad: Record<string, string>[] = [
      { authorization: 'Bearer ck_nothing' },
      { authorization: `Bearer ${secret.slice(0, -1)}` },
      { authorization: 'Basic dXNlcjpwYXNz' },
      { authorization: 'Bearer ' },
      { authorization: secret },
      { 'x-api-key': 'ck_nothing' },
      { 'x-api-key': '' },
      { authorization: `Bearer ${secret}`, 'x-api-key': `${secret}0` },
      { 'sign-in-with-x': '' },
      { 'sign-in-with-x': 'nonsense' },
      { 'sign-in-with-x': used },
      { 'sign-in-with-x': await wallet.signIn({ domain: 'evil.example' }) },
      { 'sign-in-with-x': await wallet.signIn(), 'x-sign-in-with-x': await wallet.signIn() },
    ];
    for (const headers of bad) {
      const answer = await shop.chat(headers);
      expect([headers, answer.status]).toEqual([headers, 401]);
      expect(answer.headers.get('payment-required')).toBeNull();
      expect(answer.text).not.toContain(secret.slice(3));
    }
    const said = await shop.chat({ 'sign-in-with-x': used });
    expect(said.json['error']).toMatchObject({
      code: 'invalid_sign_in',
      details: { reason: 'nonce_already_used' },
    });
    expect((await shop.get(`${CHAT}?api_key=${secret}`)).status).toBe(405);
  });

  it('prefer the key where a key and a sign-in come, whatever the sign-in is worth', async () => {
    await using shop = await startApp();
    const { secret, accountId } = await shop.key('1');
    const wallet = await shop.evm('1');
    for (const signIn of [await wallet.signIn(), 'nonsense']) {
      const headers = { 'x-api-key': secret, 'sign-in-with-x': signIn };
      expect((await shop.chat(headers)).status).toBe(200);
    }
    expect(await shop.balanceOf(wallet)).toBe(1_000_000_000);
    expect((await shop.app.store.accounts.balance(accountId)).posted).toBe(999_970_000);
  });

  it('in a doubled header are refused, be they equal or not (H-2)', async () => {
    await using shop = await startApp();
    const { secret } = await shop.key();
    const wallet = await shop.evm('1');
    const [first, second] = [await wallet.signIn(), await wallet.signIn()];
    const payment = await wallet.pay('1');
    const doubled: [number, string, string[]][] = [
      [
        401,
        'invalid_credential',
        [`Authorization: Bearer ${secret}`, 'authorization: Bearer ck_x'],
      ],
      [
        401,
        'invalid_credential',
        [`Authorization: Bearer ${secret}`, `Authorization: Bearer ${secret}`],
      ],
      [401, 'invalid_credential', [`X-Api-Key: ${secret}`, `x-api-key: ${secret}`]],
      [401, 'invalid_sign_in', [`SIGN-IN-WITH-X: ${first}`, `Sign-In-With-X: ${second}`]],
      [401, 'invalid_sign_in', [`X-Sign-In-With-X: ${first}`, `X-Sign-In-With-X: ${first}`]],
      [400, 'invalid_payment', [`PAYMENT-SIGNATURE: ${payment}`, `payment-signature: ${payment}`]],
      [400, 'invalid_payment', [`X-PAYMENT: ${payment}`, 'X-PAYMENT: other']],
      [400, 'invalid_payment', [`X-402-Payment: ${payment}`, `X-402-Payment: ${payment}`]],
      [400, 'invalid_payment', [`X-PAYMENT: ${payment}`, 'X-402-Payment: other']],
    ];
    for (const [status, code, lines] of doubled) {
      const answer = await chatWith(shop, lines);
      expect([lines[0]!.slice(0, 20), answer.status]).toEqual([lines[0]!.slice(0, 20), status]);
      expect(answer.body).toContain(`"code":"${code}"`);
    }
    expect(shop.upstream.requests).toHaveLength(0);
    // Neither sign-in was used up, and the payment is as good as before.
    expect((await chatWith(shop, [`SIGN-IN-WITH-X: ${first}`])).status).toBe(200);
    const same = [`X-PAYMENT: ${payment}`, `X-402-Payment: ${payment}`];
    expect((await chatWith(shop, same)).status).toBe(200);
    expect(await shop.balanceOf(wallet)).toBe(1_999_970_000);
    await shop.check();
  });

  it('of a wallet are good on its own pages only (K-5)', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm('3');
    const other = await shop.evm('5');
    for (const prefix of ['/x402', '/v1/x402', '/api/v1/x402']) {
      for (const page of ['balance', 'transactions']) {
        const own = await shop.get(`${prefix}/${page}/${wallet.address}`, {
          'sign-in-with-x': await wallet.signIn(),
        });
        expect(own.status).toBe(200);
        const foreign = await shop.get(`${prefix}/${page}/${other.address}`, {
          'sign-in-with-x': await wallet.signIn(),
        });
        expect(foreign.status).toBe(403);
        expect(foreign.text).not.toContain('5');
        expect((await shop.get(`${prefix}/${page}/${wallet.address}`)).status).toBe(401);
      }
    }
  });
});

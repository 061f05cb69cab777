import { describe, expect, it } from 'vitest';
import { listOf, startApp } from '../support/app.ts';

describe('the balance of a wallet', () => {
  it('is what is posted less what is held, with what a top-up needs', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm('12.5');
    // In the address's own spelling, too.
    const spelled = `0x${wallet.address.slice(2).toUpperCase()}`;
    for (const address of [wallet.address, spelled]) {
      const answer = await shop.get(`/api/v1/x402/balance/${address}`, {
        'x-sign-in-with-x': await wallet.signIn(),
      });
      expect(answer.json).toEqual({
        success: true,
        data: {
          walletAddress: wallet.address,
          balanceUsd: 12.5,
          canConsume: true,
          minimumTopUpUsd: 1,
          suggestedTopUpUsd: 10,
        },
      });
      expect(answer.headers.get('x-balance-remaining')).toBe('12.500000');
    }
  });

  it('of one that never paid is zero and cannot consume', async () => {
    await using shop = await startApp();
    const wallet = await shop.solana();
    const answer = await shop.get(`/x402/balance/${wallet.address}`, {
      'sign-in-with-x': await wallet.signIn(),
    });
    expect(answer.json['data']).toMatchObject({ balanceUsd: 0, canConsume: false });
  });

  it('is also told to a key of its account, and to no other key', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm('2');
    const { accounts, keys } = shop.app.store;
    const { address } = wallet;
    const accountId = await accounts.walletAccount({ family: 'eip155', address, chain: '' });
    const mine = await keys.create({ accountId: accountId!, type: 'INFERENCE', description: '' });
    const path = `/v1/x402/balance/${wallet.address}`;
    expect((await shop.get(path, { 'x-api-key': mine.secret })).status).toBe(200);
    const { secret } = await shop.key('1', 'ADMIN');
    const foreign = await shop.get(path, { 'x-api-key': secret });
    expect(foreign.status).toBe(403);
    expect(foreign.json['error']!['code']).toBe('wallet_mismatch');
  });

  it('needs an address, and says which sign-in it wants', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const noAddress = await shop.get('/api/v1/x402/balance/nobody', {
      'sign-in-with-x': await wallet.signIn(),
    });
    expect(noAddress.status).toBe(400);
    expect(noAddress.json).toMatchObject({ code: 'INVALID_REQUEST', details: { field: 'wallet' } });
    const unsigned = await shop.get(`/api/v1/x402/balance/${wallet.address}`);
    expect(unsigned.status).toBe(401);
    expect(unsigned.json['code']).toBe('X402_INVALID_SIGN_IN');
    expect(unsigned.json['details']!['challenge']!['info']!['uri']).toBe(
      `${shop.url}/api/v1/x402/balance/${wallet.address}`,
    );
  });
});

describe('the transactions of a wallet', () => {
  it('are its entries, newest first, each with the balance after it', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    const header = await wallet.pay('3');
    await shop.post('/x402/top-up', '', { 'payment-signature': header });
    const asked = await shop.chat({ 'sign-in-with-x': await wallet.signIn() });
    const answer = await shop.get(`/api/v1/x402/transactions/${wallet.address}`, {
      'sign-in-with-x': await wallet.signIn(),
    });
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown;
    const id = expect.stringMatching(/^entry_\d+$/) as unknown;
    expect(answer.json).toEqual({
      success: true,
      data: {
        walletAddress: wallet.address,
        currentBalance: 2.999985,
        transactions: [
          {
            id,
            amount: -0.000015,
            balanceAfter: 2.999985,
            type: 'CHARGE',
            createdAt: time,
            requestId: asked.headers.get('x-request-id'),
            modelId: 'demo-chat',
          },
          {
            id,
            amount: 3,
            balanceAfter: 3,
            type: 'TOP_UP',
            createdAt: time,
            requestId: null,
            modelId: null,
          },
        ],
        pagination: { limit: 50, offset: 0, hasMore: false },
      },
    });
  });

  it('come in pages, each entry once', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm('1');
    for (let n = 0; n < 4; n += 1) {
      await shop.chat({ 'sign-in-with-x': await wallet.signIn() });
    }
    const seen: unknown[] = [];
    for (let offset = 0; ; offset += 2) {
      const query = `limit=2&offset=${offset}`;
      const page = await shop.get(`/x402/transactions/${wallet.address}?${query}`, {
        'sign-in-with-x': await wallet.signIn(),
      });
      const { transactions, pagination } = page.json['data']!;
      seen.push(...listOf(transactions).map((row) => row['id']));
      expect(pagination).toMatchObject({ limit: 2, offset });
      if (!pagination!['hasMore']) break;
    }
    expect(new Set(seen).size).toBe(5);
    expect(seen).toHaveLength(5);
  });

  it('refuse pages that make no sense', async () => {
    await using shop = await startApp();
    const wallet = await shop.evm();
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'offset=-1', 'limit=1&limit=2']) {
      const answer = await shop.get(`/x402/transactions/${wallet.address}?${query}`, {
        'sign-in-with-x': await wallet.signIn(),
      });
      expect([query, answer.status]).toEqual([query, 400]);
    }
  });
});

describe('a payment', () => {
  it('is shown to its payer and to the operator, and is not there for anybody else (P-8)', async () => {
    await using shop = await startApp();
    const payer = await shop.evm();
    const header = await payer.pay('4');
    const paid = await shop.post('/x402/top-up', '', { 'payment-signature': header });
    const { paymentId } = paid.json['data'] as unknown as { paymentId: string };
    const path = `/v1/x402/payments/${paymentId}`;
    const own = await shop.get(path, { 'sign-in-with-x': await payer.signIn() });
    expect(own.json).toMatchObject({
      success: true,
      data: { status: 'settled', payer: payer.address, amountUsd: '4.00' },
    });
    const { keys } = shop.app.store;
    const operator = await keys.create({ type: 'ADMIN', description: 'operator' });
    expect((await shop.get(path, { 'x-api-key': operator.secret })).status).toBe(200);
    const other = await shop.evm('1');
    const minted = await shop.key('1', 'ADMIN');
    const house = await keys.create({ type: 'INFERENCE', description: 'house' });
    const strangers: Record<string, string>[] = [
      { 'sign-in-with-x': await other.signIn() },
      { 'x-api-key': minted.secret },
      { 'x-api-key': house.secret },
    ];
    for (const headers of strangers) expect((await shop.get(path, headers)).status).toBe(404);
    expect((await shop.get(path)).status).toBe(401);
  });
});

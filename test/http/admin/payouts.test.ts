import { describe, expect, it } from 'vitest';
import {
  type EvmWallet,
  listOf,
  PLAY_EVM,
  startApp,
  type TestApp,
  textOf,
} from '../../support/app.ts';
import { because, operator, send } from '../../support/operator.ts';

const PREFIXES = ['/x402', '/v1/x402', '/api/v1/x402'];

async function paidIn(app: TestApp, usd = '5'): Promise<EvmWallet> {
  const wallet = await app.evm();
  const headers = { 'payment-signature': await wallet.pay(usd) };
  expect((await app.post('/x402/top-up', {}, headers)).status).toBe(200);
  return wallet;
}

async function ask(app: TestApp, wallet: EvmWallet, body: object = {}, prefix = '/x402') {
  const headers = { 'sign-in-with-x': await wallet.signIn() };
  return send(app, 'POST', `${prefix}/payouts`, headers, body);
}

describe('…/x402/payouts', () => {
  it.each(PREFIXES)('%s takes a wallet’s wish and shows it what became of it', async (prefix) => {
    await using app = await startApp();
    const boss = await operator(app);
    const wallet = await paidIn(app);
    const asked = await ask(app, wallet, { amount_usd: '2.5' }, prefix);
    expect(asked.status).toBe(201);
    expect(asked.json).toMatchObject({
      success: true,
      data: {
        status: 'requested',
        network: PLAY_EVM,
        recipient: wallet.address,
        amountUsd: '2.50',
        transaction: null,
      },
    });
    const id = textOf(asked.json['data']!['id']);
    expect(await app.balanceOf(wallet)).toBe(2_500_000_000);
    expect(await boss.list('/payouts?state=requested')).toMatchObject([
      { id, askedBy: `wallet:eip155:${wallet.address}` },
    ]);
    const done = await boss.post(`/payouts/${id}/approve`, because);
    expect(done.json).toMatchObject({ status: 'settled', method: 'embedded' });
    const headers = async () => ({ 'sign-in-with-x': await wallet.signIn() });
    const own = await app.get(`${prefix}/payouts/${id}`, await headers());
    expect(own.json).toMatchObject({ data: { status: 'settled', transaction: /^0x/ } } as never);
    const all = await app.get(`${prefix}/payouts`, await headers());
    expect(listOf(all.json['data'])).toHaveLength(1);
    const transactions = await app.get(`${prefix}/transactions/${wallet.address}`, await headers());
    expect(listOf(transactions.json['data']!['transactions'])[0]).toMatchObject({ amount: -2.5 });
    expect((await boss.audit(`?target=${id}`)).map(({ action }) => action)).toEqual([
      'payout.approve',
      'payout.ask',
    ]);
    await app.check();
  });

  it('moves play money to the wallet itself, and gives back what is cancelled', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const wallet = await paidIn(app);
    const balance = async () => {
      const { json } = await app.get(`/x402/balance/${wallet.address}`, {
        'sign-in-with-x': await wallet.signIn(),
      });
      return json['data']!['balanceUsd'];
    };
    const first = await ask(app, wallet, { amount_usd: 1 });
    const second = await ask(app, wallet);
    expect(second.json).toMatchObject({ data: { amountUsd: '4.00' } });
    expect(await balance()).toBe(0);
    const [one, two] = [first, second].map(({ json }) => textOf(json['data']!['id']));
    const cancelled = await boss.post(`/payouts/${two}/cancel`, because);
    expect(cancelled.json).toMatchObject({ status: 'cancelled' });
    expect(await balance()).toBe(4);
    await boss.post(`/payouts/${one}/approve`, because);
    expect((await boss.post(`/payouts/${two}/approve`, because)).status).toBe(409);
    expect((await boss.post(`/payouts/${one}/cancel`, because)).status).toBe(409);
    const { payments, payouts } = app.app;
    await Promise.all([payments.reconcile(), payouts.reconcile()]);
    expect(await balance()).toBe(4);
    // What came back can be paid in again, and no more than the wallet has on the play chain.
    const again = await wallet.pay('996');
    expect((await app.post('/x402/top-up', {}, { 'payment-signature': again })).status).toBe(200);
    const more = await wallet.pay('1');
    expect((await app.post('/x402/top-up', {}, { 'payment-signature': more })).status).toBe(400);
    await app.check();
  });

  it('gives back what was paid in, not what was given, and never what is spent or set aside', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const wallet = await paidIn(app, '2');
    const owner = { family: wallet.family, chain: '', address: wallet.address };
    const id = (await app.app.store.accounts.walletAccount(owner))!;
    await boss.post(`/accounts/${id}/grants`, { amountUsd: '10', ...because });
    const tooMuch = await ask(app, wallet, { amount_usd: '2.01' });
    expect([tooMuch.status, tooMuch.text]).toEqual([400, expect.stringContaining('at most 2.00')]);
    const all = await ask(app, wallet);
    expect(all.json).toMatchObject({ data: { amountUsd: '2.00' } });
    expect((await ask(app, wallet, { amount_usd: '0.5' })).status).toBe(400);
    // The operator may pay more than that.
    const more = await boss.post(`/accounts/${id}/payouts`, { amountUsd: '3', ...because });
    expect(more.json).toMatchObject({ status: 'settled', accountId: id });
    const most = await boss.post(`/accounts/${id}/payouts`, { amountUsd: '7.01', ...because });
    expect(most.status).toBe(400);
    await boss.post(`/payouts/${textOf(all.json['data']!['id'])}/cancel`, because);
    await app.check();
  });

  it('goes to that wallet, on a network of its own, and sets nothing aside when refused (A-2)', async () => {
    await using app = await startApp();
    const wallet = await paidIn(app);
    for (const body of [
      { amount_usd: '0' },
      { amount_usd: '0.009' },
      { amount_usd: '-1' },
      { amount_usd: '1e3' },
      { amount_usd: null },
      { amount_usd: '5.000001' },
      { amount_usd: '0.0100001' },
      { network: 'eip155:8453' },
      { network: 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1' },
      { recipient: '0x1111111111111111111111111111111111111111' },
      { to: '0x1111111111111111111111111111111111111111' },
      { method: 'embedded' },
      { state: 'approved' },
      { accountId: 'acc_house' },
    ]) {
      const { status } = await ask(app, wallet, body);
      expect([body, status]).toEqual([body, 400]);
    }
    expect(await app.balanceOf(wallet)).toBe(5_000_000_000);
    expect(await app.app.payouts.list({ limit: 10 })).toEqual([]);
  });

  it('is for wallets that paid, and shows none of anybody else’s', async () => {
    await using app = await startApp();
    const wallet = await paidIn(app);
    const asked = await ask(app, wallet);
    const path = `/x402/payouts/${textOf(asked.json['data']!['id'])}`;
    const stranger = await app.evm();
    const sign = async () => ({ 'sign-in-with-x': await stranger.signIn() });
    expect((await app.get(path, await sign())).status).toBe(404);
    expect((await app.get('/x402/payouts', await sign())).json).toMatchObject({ data: [] });
    expect((await ask(app, stranger)).status).toBe(404);
    const other = await paidIn(app);
    expect((await app.get(path, { 'sign-in-with-x': await other.signIn() })).status).toBe(404);
    const { secret } = await app.key('1', 'ADMIN');
    const key = { authorization: `Bearer ${secret}` };
    expect((await send(app, 'POST', '/x402/payouts', key, {})).status).toBe(403);
    expect((await send(app, 'POST', '/x402/payouts', {}, {})).status).toBe(401);
  });

  it('lets a frozen account ask for nothing, and five wait at most', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const wallet = await paidIn(app);
    for (let n = 0; n < 5; n += 1) {
      expect((await ask(app, wallet, { amount_usd: '0.5' })).status).toBe(201);
    }
    expect((await ask(app, wallet, { amount_usd: '0.5' })).status).toBe(409);
    const [row] = await boss.list('/payouts');
    for (const { id } of await boss.list('/payouts')) {
      await boss.post(`/payouts/${textOf(id)}/cancel`, because);
    }
    await boss.patch(`/accounts/${textOf(row!['accountId'])}`, { state: 'frozen', ...because });
    expect((await ask(app, wallet)).status).toBe(403);
    await app.check();
  });

  it('of a Solana wallet go out on the play chain too', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const wallet = await app.solana('3');
    const owner = { family: wallet.family, chain: '', address: wallet.address };
    const id = (await app.app.store.accounts.walletAccount(owner))!;
    const made = await boss.post(`/accounts/${id}/payouts`, { amountUsd: '2', ...because });
    expect(made.json).toMatchObject({ status: 'settled', recipient: wallet.address });
    const byHand = await boss.post(`/accounts/${id}/payouts`, { method: 'manual', ...because });
    expect(byHand.json).toMatchObject({ status: 'approved', amountUsd: '1.00' });
    const at = `/payouts/${textOf(byHand.json['id'])}`;
    const transaction = '1'.repeat(64);
    const marked = await boss.post(`${at}/sent`, { transaction, ...because });
    expect([marked.status, marked.text]).toEqual([400, expect.stringContaining('play money')]);
    expect((await boss.post(`${at}/approve`, because)).json).toMatchObject({ status: 'settled' });
    await app.check();
  });

  it('are closed for accounts of the house', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const made = await boss.post('/accounts/acc_house/payouts', because);
    expect([made.status, made.text]).toEqual([400, expect.stringContaining('wallet')]);
    expect((await boss.post('/accounts/acc_none/payouts', because)).status).toBe(404);
  });
});

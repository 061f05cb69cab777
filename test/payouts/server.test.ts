/** The whole server on a real chain: paid in, asked for, approved, sent, seen. */
import { type Hex, encodeFunctionData } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { anvilBinary, STRANGER, TOKEN_ABI } from '../support/anvil.ts';
import { startApp, textOf } from '../support/app.ts';
import { GAS_KEY } from '../support/evm-bench.ts';
import { type EvmShop, openEvmShop } from '../support/evm-till.ts';
import { because, operator, send } from '../support/operator.ts';

const TREASURY_KEY: Hex = `0x${'7d'.repeat(32)}`;
const FIVE = 5_000_000n;

describe.skipIf(anvilBinary() === null)('a server that pays out', () => {
  let shop: EvmShop;
  beforeAll(async () => {
    shop = await openEvmShop({ slotsInEpoch: 1 });
    await shop.chain.mint(privateKeyToAddress(TREASURY_KEY), 100n * FIVE);
  });
  afterAll(() => shop.close());

  const onChain = (config: Config) => {
    const facilitator = {
      kind: 'embedded' as const,
      gasKey: GAS_KEY,
      treasuryKey: TREASURY_KEY,
    };
    config.payments.networks = [shop.through(facilitator, shop.proxy.url)];
  };

  it('sends by its treasury and by hand, and knows both after a restart', async () => {
    await using first = await startApp({ change: onChain });
    const boss = await operator(first);
    const wallet = await first.evm();
    await shop.chain.mint(wallet.address, FIVE);
    const headers = { 'payment-signature': await wallet.pay('5') };
    expect((await first.post('/x402/top-up', {}, headers)).status).toBe(200);
    const ask = async (body: object) =>
      send(first, 'POST', '/x402/payouts', { 'sign-in-with-x': await wallet.signIn() }, body);
    // What the chain may still take back is not paid out on a wallet's wish.
    expect((await ask({ amount_usd: '2' })).status).toBe(400);
    await shop.chain.mine(200);
    await first.app.store.ledger.write(({ db }) =>
      db.updateTable('payments').set({ next_check_at: 0 }).execute(),
    );
    await first.app.payments.reconcile();
    const asked = await ask({ amount_usd: '2' });
    expect(asked.status).toBe(201);
    const at = `/payouts/${textOf(asked.json['data']!['id'])}`;
    const sent = await boss.post(`${at}/approve`, because);
    expect(sent.json).toMatchObject({ status: 'settled', method: 'embedded' });
    expect(await shop.chain.balanceOf(wallet.address)).toBe(2_000_000n);

    const [account] = await boss.list(`/accounts?search=${wallet.address}`);
    const made = await boss.post(`/accounts/${textOf(account!['id'])}/payouts`, {
      method: 'manual',
      ...because,
    });
    expect(made.json).toMatchObject({ status: 'approved', amountUsd: '3.00' });
    await shop.chain.mint(STRANGER, FIVE);
    const args = [wallet.address as Hex, 3_000_000n] as const;
    const data = encodeFunctionData({ abi: TOKEN_ABI, functionName: 'transfer', args });
    const transaction = await shop.chain.send(shop.chain.token, data);
    const marked = await boss.post(`/payouts/${textOf(made.json['id'])}/sent`, {
      transaction,
      ...because,
    });
    expect(marked.json).toMatchObject({ status: 'settled', transaction });
    await first.check();
    await first.stop();

    await using app = await startApp({ dataDir: first.dataDir, change: onChain });
    const after = await app.get('/admin/api/payouts', { authorization: `Bearer ${boss.secret}` });
    expect(after.json).toMatchObject({ data: [{ status: 'settled' }, { status: 'settled' }] });
    await app.app.payouts.reconcile();
    expect(await shop.chain.balanceOf(wallet.address)).toBe(FIVE);
    expect(await app.balanceOf(wallet)).toBe(0);
    for (const secret of [TREASURY_KEY, GAS_KEY]) {
      expect(JSON.stringify([first.logged, app.logged])).not.toContain(secret.slice(2));
    }
    await app.check();
  });
});

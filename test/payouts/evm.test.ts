import { encodeFunctionData, type Hex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NetworkConfig } from '../../src/config/config.ts';
import { anvilBinary, TOKEN_ABI } from '../support/anvil.ts';
import { GAS_KEY } from '../support/evm-bench.ts';
import { type EvmShop, FIVE, openEvmShop } from '../support/evm-till.ts';
import { actionsOn, type Desk, heldOf, openDesk, restored } from '../support/payouts.ts';
import type { RpcCall } from '../support/rpc-proxy.ts';
import { refusalOf } from '../support/till.ts';

const TREASURY_KEY: Hex = `0x${'7e'.repeat(32)}`;
const TREASURY = privateKeyToAddress(TREASURY_KEY).toLowerCase();
const NOBODY = `0x${'ab'.repeat(20)}`;
const MINUTE = 60_000;

describe.skipIf(anvilBinary() === null)('payouts on an EVM chain', () => {
  let shop: EvmShop;
  let network: NetworkConfig;
  let desk: Desk;
  beforeAll(async () => {
    shop = await openEvmShop();
    network = shop.through(
      { kind: 'embedded', gasKey: GAS_KEY, treasuryKey: TREASURY_KEY },
      shop.proxy.url,
    );
    await shop.chain.mint(TREASURY, 1_000n * FIVE);
  });
  beforeEach(async () => {
    desk = await openDesk({ networks: [network], settleTimeoutMs: 1_000 });
  });
  afterEach(async () => {
    shop.proxy.rule = () => 'forward';
    await desk.close();
  });
  afterAll(() => shop.close());

  /** A wallet that paid $5 in. */
  async function customer() {
    const { wallet, header } = await shop.pay();
    const { accountId } = await desk.till.payments.deposit(header);
    const address = wallet.address.toLowerCase();
    return { address, accountId, balance: () => shop.chain.balanceOf(address) };
  }

  function transferCall(to: string, units: bigint): Hex {
    const args = [to as Hex, units] as const;
    return encodeFunctionData({ abi: TOKEN_ABI, functionName: 'transfer', args });
  }

  /** The operator's own wallet pays. */
  async function byHand(to: string, units: bigint): Promise<string> {
    const from = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266';
    await shop.chain.mint(from, units);
    return shop.chain.send(shop.chain.token, transferCall(to, units));
  }

  const rawSends = () =>
    shop.proxy.calls.filter(({ method }) => method === 'eth_sendRawTransaction').length;

  it('are sent by the treasury, paid for by the gas key, and withdrawn once seen', async () => {
    const { accountId, balance } = await customer();
    const row = await desk.pay(accountId, '2');
    expect(row).toMatchObject({ state: 'settled', method: 'embedded', units: '2000000' });
    expect(await balance()).toBe(2_000_000n);
    expect(await desk.till.store.available(accountId)).toBe(3_000_000_000);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
    expect(await actionsOn(desk, row.id)).toEqual(['payout.make']);
    expect(await shop.chain.rpc('eth_getBalance', [TREASURY, 'latest'])).toBe('0x0');
  });

  it('are all that there is where no amount is said, in whole units of USDC', async () => {
    const { accountId, balance } = await customer();
    await desk.pay(accountId);
    expect(await balance()).toBe(FIVE);
    expect(await desk.withdrawals()).toEqual([5_000_000]);
  });

  it('are never more than the account has, however many are made at once', async () => {
    const { accountId, balance } = await customer();
    const ends = await Promise.allSettled(
      Array.from({ length: 8 }, () => desk.pay(accountId, '2')),
    );
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    await desk.later(MINUTE);
    expect(await balance()).toBe(4_000_000n);
    expect(await desk.withdrawals()).toEqual([2_000_000, 2_000_000]);
  });

  it('are sent once by twenty approvals at a time', async () => {
    const { accountId, balance, address } = await customer();
    const wallet = { family: 'eip155' as const, chain: '', address };
    await desk.till.store.ledger.write(({ db }) =>
      db.updateTable('payments').set({ is_final: 1 }).execute(),
    );
    const principal = { kind: 'wallet' as const, role: 'wallet' as const, wallet, accountId };
    const { id, state } = await desk.payouts.ask(principal, { amount: null });
    expect(state).toBe('requested');
    expect(await heldOf(desk, accountId)).toBe(5_000_000_000);
    shop.proxy.calls.length = 0;
    const approvals = Array.from({ length: 20 }, () =>
      desk.payouts.approve('cli', id, { method: 'embedded', reason: 'all is well' }),
    );
    const rows = await Promise.all(approvals);
    expect(new Set(rows.map((row) => row.transaction_id)).size).toBe(1);
    expect(rawSends()).toBe(1);
    expect(await balance()).toBe(FIVE);
    expect(await desk.withdrawals()).toEqual([5_000_000]);
    expect(await actionsOn(desk, id)).toEqual(['payout.ask', 'payout.approve']);
  });

  it('survive the process that dies after storing and before broadcasting', async () => {
    const { accountId, balance } = await customer();
    const sent = Promise.withResolvers<void>();
    shop.proxy.rule = ({ method }: RpcCall) => {
      if (method !== 'eth_sendRawTransaction') return 'forward';
      sent.resolve();
      return 'cut';
    };
    const dying = desk.pay(accountId, '2').catch((error: unknown) => error);
    await sent.promise;
    const before = desk;
    desk = await desk.restart();
    await dying;
    await before.payouts.stop();
    expect(await balance()).toBe(0n);
    const [row] = await desk.payouts.list({ limit: 1 });
    expect(row).toMatchObject({ state: 'sent', raw_transaction: expect.stringMatching(/^0x02/) });
    expect(await heldOf(desk, accountId)).toBe(2_000_000_000);
    shop.proxy.rule = () => 'forward';
    await desk.payouts.start();
    await expect.poll(() => desk.row(row!.id).then(({ state }) => state)).not.toBe('approved');
    for (let look = 0; look < 3; look += 1) await desk.later(2 * MINUTE);
    expect(await desk.row(row!.id)).toMatchObject({
      state: 'settled',
      transaction_id: row!.transaction_id,
    });
    expect(await balance()).toBe(2_000_000n);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });

  it('survive the process that dies between broadcast and withdrawal', async () => {
    const { accountId, balance } = await customer();
    let isDark = false;
    const sent = Promise.withResolvers<void>();
    shop.proxy.rule = ({ method }: RpcCall) => {
      if (isDark) return 'cut';
      if (method !== 'eth_sendRawTransaction') return 'forward';
      isDark = true;
      sent.resolve();
      return 'forward_then_cut';
    };
    const dying = desk.pay(accountId, '2').catch((error: unknown) => error);
    await sent.promise;
    const before = desk;
    desk = await desk.restart();
    await dying;
    await before.payouts.stop();
    expect(await desk.withdrawals()).toEqual([]);
    expect(await heldOf(desk, accountId)).toBe(2_000_000_000);
    shop.proxy.rule = () => 'forward';
    shop.proxy.calls.length = 0;
    await desk.payouts.start();
    await expect.poll(() => desk.withdrawals()).toEqual([2_000_000]);
    expect(rawSends()).toBe(0);
    expect(await balance()).toBe(2_000_000n);
    expect(await heldOf(desk, accountId)).toBe(0);
  });

  it('whose gas transaction was overtaken are submitted again, and still paid once', async () => {
    const { accountId, balance } = await customer();
    shop.proxy.rule = ({ method }) => (method === 'eth_sendRawTransaction' ? 'cut' : 'forward');
    const { id, state, transaction_id: first } = await desk.pay(accountId, '2');
    expect(state).toBe('sent');
    shop.proxy.rule = () => 'forward';
    // Somebody's payment takes the nonce that was meant for it.
    await customer();
    for (let look = 0; look < 5; look += 1) await desk.later(2 * MINUTE);
    const row = await desk.row(id);
    expect(row).toMatchObject({ state: 'settled', attempt: 1 });
    expect(row.transaction_id).not.toBe(first);
    expect(await balance()).toBe(2_000_000n);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });

  it('that expire without reaching the chain are signed afresh, and paid once', async () => {
    const { accountId, balance } = await customer();
    // The node says that it took it, and forgets it.
    let lost = 0;
    shop.proxy.rule = ({ method }: RpcCall) => {
      if (method !== 'eth_sendRawTransaction') return 'forward';
      lost += 1;
      return { error: { code: -32_000, message: 'internal error' } };
    };
    const { id } = await desk.pay(accountId, '2');
    expect(await desk.row(id)).toMatchObject({ state: 'sent', attempt: 1 });
    expect(lost).toBeGreaterThan(0);
    await shop.chain.rpc('evm_increaseTime', [1_200]);
    await shop.chain.mine();
    shop.proxy.rule = () => 'forward';
    for (let look = 0; look < 4; look += 1) await desk.later(2 * MINUTE);
    expect(await desk.row(id)).toMatchObject({ state: 'settled', attempt: 2 });
    expect(await balance()).toBe(2_000_000n);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });

  it('wait for a node that does not answer, and go out by the next process', async () => {
    const { accountId, balance } = await customer();
    shop.proxy.rule = () => 'cut';
    const { id, state, reason } = await desk.pay(accountId, '2');
    expect([state, reason]).toEqual(['approved', 'rpc_unavailable']);
    const before = desk;
    desk = await desk.restart();
    await before.payouts.stop();
    shop.proxy.rule = () => 'forward';
    await desk.payouts.start();
    await expect.poll(() => desk.withdrawals()).toEqual([2_000_000]);
    expect(await desk.row(id)).toMatchObject({ state: 'settled', attempt: 1 });
    expect(await balance()).toBe(2_000_000n);
  });

  it('that a reorg takes back are sent again, or reversed when they can no longer land', async () => {
    const { accountId, balance } = await customer();
    const first = await desk.pay(accountId, '2');
    expect(first).toMatchObject({ state: 'settled', is_final: 0 });
    await shop.chain.rpc('anvil_reorg', [1, []]);
    expect(await balance()).toBe(0n);
    await desk.later(2 * MINUTE);
    await expect.poll(balance).toBe(2_000_000n);
    await shop.chain.mine(200);
    await desk.later(6 * MINUTE);
    expect(await desk.row(first.id)).toMatchObject({ state: 'settled', is_final: 1 });

    const second = await desk.pay(accountId, '1');
    await shop.chain.rpc('anvil_reorg', [1, []]);
    shop.proxy.rule = ({ method }) =>
      method === 'eth_sendRawTransaction'
        ? { error: { code: -32_000, message: 'internal error' } }
        : 'forward';
    await shop.chain.rpc('evm_increaseTime', [1_200]);
    await shop.chain.mine();
    await desk.later(6 * MINUTE);
    expect(await desk.row(second.id)).toMatchObject({ state: 'reversed', reason: 'expired' });
    expect(await balance()).toBe(2_000_000n);
    expect(await desk.till.store.available(accountId)).toBe(3_000_000_000);
    expect(await desk.withdrawals()).toEqual([2_000_000, 1_000_000]);
  });

  it('wait, cancellable, while the treasury has too little', async () => {
    const poorKey: Hex = `0x${'7f'.repeat(32)}`;
    await desk.close();
    const facilitator = { kind: 'embedded', gasKey: GAS_KEY, treasuryKey: poorKey } as const;
    const poor = { ...network, facilitator };
    desk = await openDesk({ networks: [poor], settleTimeoutMs: 1_000 });
    const { accountId, balance } = await customer();
    const waiting = await desk.pay(accountId, '2');
    const cancelled = await desk.pay(accountId, '1');
    expect(waiting).toMatchObject({ state: 'approved', reason: 'insufficient_funds' });
    await desk.payouts.cancel('cli', cancelled.id, 'never mind');
    expect(await heldOf(desk, accountId)).toBe(2_000_000_000);
    await shop.chain.mint(privateKeyToAddress(poorKey), FIVE);
    await desk.later(2 * MINUTE);
    expect(await desk.row(waiting.id)).toMatchObject({ state: 'settled' });
    expect(await balance()).toBe(2_000_000n);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });

  it('that a restored backup has forgotten are found on the chain, not paid again', async () => {
    const { accountId, balance } = await customer();
    const { id } = await desk.pay(accountId, '2', 'manual');
    const approve = (at: Desk) =>
      at.payouts.approve('cli', id, { method: 'embedded', reason: 'send it' });
    const twin = await restored(desk, { networks: [network], settleTimeoutMs: 1_000 });
    try {
      const { transaction_id: transaction } = await approve(desk);
      await approve(twin);
      await twin.later(2 * MINUTE);
      await twin.later(2 * MINUTE);
      expect(await twin.row(id)).toMatchObject({ state: 'settled', transaction_id: transaction });
      expect(await twin.withdrawals()).toEqual([2_000_000]);
    } finally {
      await twin.close();
    }
    expect(await balance()).toBe(2_000_000n);
  });

  it('on their way cannot be cancelled or marked as paid by hand', async () => {
    const { accountId, address } = await customer();
    shop.proxy.rule = ({ method }) => (method === 'eth_sendRawTransaction' ? 'cut' : 'forward');
    const { id, state } = await desk.pay(accountId, '2');
    expect(state).toBe('sent');
    const cancel = await refusalOf(desk.payouts.cancel('cli', id, 'too late'));
    expect(cancel).toMatchObject({ code: 'state_conflict', details: { state: 'sent' } });
    const transaction = await byHand(address, 2_000_000n);
    const marked = desk.payouts.sentByHand('cli', id, { transaction, reason: 'by hand' });
    expect(await refusalOf(marked)).toMatchObject({ code: 'state_conflict' });
    expect(await heldOf(desk, accountId)).toBe(2_000_000_000);
  });

  it('by hand are withdrawn once the chain shows the transfer, by whomever', async () => {
    const { accountId, address } = await customer();
    const { id, state } = await desk.pay(accountId, '2', 'manual');
    expect(state).toBe('approved');
    const transaction = await byHand(address, 2_000_000n);
    const upper = `0x${transaction.slice(2).toUpperCase()}`;
    const row = await desk.payouts.sentByHand('cli', id, { transaction: upper, reason: 'paid' });
    expect(row).toMatchObject({ state: 'settled', transaction_id: transaction });
    expect(await desk.withdrawals()).toEqual([2_000_000]);
    expect(await actionsOn(desk, id)).toEqual(['payout.make', 'payout.sent']);
  });

  it('by hand are not paid by a transaction of another wallet, amount, age or payout', async () => {
    const { accountId, address } = await customer();
    const early = await byHand(address, 2_000_000n);
    await shop.chain.rpc('evm_increaseTime', [600]);
    await shop.chain.mine();
    desk.till.clock.ms = (await shop.chain.nowSeconds()) * 1_000;
    const { id } = await desk.pay(accountId, '2', 'manual');
    const mark = (transaction: string) =>
      refusalOf(desk.payouts.sentByHand('cli', id, { transaction, reason: 'paid' }));
    const failed = await shop.chain.send(shop.chain.token, transferCall(address, 10n ** 18n));
    const cases: [string, string][] = [
      [await byHand(NOBODY, 2_000_000n), 'other_transfer'],
      [await byHand(address, 1_999_999n), 'other_transfer'],
      [await byHand(address, 2_000_001n), 'other_transfer'],
      [failed, 'reverted'],
      [early, 'too_early'],
      ['0x1234', 'form'],
      ["' or 1=1 --", 'form'],
    ];
    for (const [transaction, reason] of cases) {
      expect([reason, await mark(transaction)]).toMatchObject([
        reason,
        { code: 'invalid_request', details: { reason } },
      ]);
    }
    const good = await byHand(address, 2_000_000n);
    const other = await desk.pay(accountId, '2', 'manual');
    await desk.payouts.sentByHand('cli', other.id, { transaction: good, reason: 'paid' });
    expect(await mark(good)).toMatchObject({ details: { reason: 'used' } });
    expect(await desk.row(id)).toMatchObject({ state: 'approved', transaction_id: null });
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });

  it('by hand that the chain does not show yet are waited for, or cancelled', async () => {
    const { accountId } = await customer();
    const [first, second] = [
      await desk.pay(accountId, '2', 'manual'),
      await desk.pay(accountId, '1', 'manual'),
    ];
    const unseen = (digit: string) => ({ transaction: `0x${digit.repeat(64)}`, reason: 'paid' });
    const waiting = await desk.payouts.sentByHand('cli', first.id, unseen('c'));
    expect(waiting).toMatchObject({ state: 'sent', reason: 'not_found' });
    await desk.payouts.sentByHand('cli', second.id, unseen('d'));
    const cancelled = await desk.payouts.cancel('cli', second.id, 'never sent');
    expect(cancelled.state).toBe('cancelled');
    await desk.later(MINUTE);
    expect(await desk.row(first.id)).toMatchObject({ state: 'sent' });
    expect(await heldOf(desk, accountId)).toBe(2_000_000_000);
    expect(await desk.withdrawals()).toEqual([]);
  });

  it('need the confirmations that deposits need', async () => {
    await desk.close();
    desk = await openDesk({
      networks: [{ ...network, confirmations: 3 }],
      settleTimeoutMs: 300,
    });
    const { wallet, header } = await shop.pay();
    const id = await desk.till.payments.deposit(header).catch(() => null);
    expect(id).toBeNull();
    await shop.chain.mine(3);
    await desk.till.later(2 * MINUTE);
    const accountId = (await desk.till.store.accounts.walletAccount({
      family: 'eip155',
      chain: '',
      address: wallet.address.toLowerCase(),
    }))!;
    const row = await desk.pay(accountId, '2');
    expect(row).toMatchObject({ state: 'sent', reason: 'confirming' });
    expect(await desk.withdrawals()).toEqual([]);
    await shop.chain.mine(3);
    await desk.later(MINUTE);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });
});

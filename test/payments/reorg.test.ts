import { type Hex, encodeFunctionData } from 'viem';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { takeIn } from '../../src/payments/rows.ts';
import { anvilBinary, TOKEN_ABI } from '../support/anvil.ts';
import { type EvmShop, openEvmShop, type Signed } from '../support/evm-till.ts';
import { reserveRequest } from '../support/store.ts';
import { expectPending, openTill, refusalOf, type Till } from '../support/till.ts';

const MINUTE = 60_000;
const USD = 1_000_000_000;

describe.skipIf(anvilBinary() === null)('a payment on a chain that changes its mind', () => {
  let shop: EvmShop;
  let till: Till;
  beforeEach(async () => {
    shop = await openEvmShop({ slotsInEpoch: 32 });
    till = await openTill({ networks: [shop.network], settleTimeoutMs: 1_500 });
  });
  afterEach(async () => {
    await till[Symbol.asyncDispose]();
    await shop.close();
  });

  const deposit = ({ header }: Signed) => till.payments.deposit(header);
  const rowOf = (id: string) =>
    till.store.ledger.read
      .selectFrom('payments')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
  /** The chain's time goes on by that much, ours too. */
  async function pass(ms: number): Promise<void> {
    await shop.chain.rpc('evm_increaseTime', [ms / 1_000]);
    await shop.chain.mine();
    await till.later(ms);
  }

  it('is looked at until it is final, and then left alone', async () => {
    const { paymentId } = await deposit(await shop.pay());
    expect(await rowOf(paymentId)).toMatchObject({ is_final: 0, state: 'settled' });
    await till.later(MINUTE);
    const row = await rowOf(paymentId);
    expect(row).toMatchObject({ is_final: 0, attempts: 1 });
    expect((row.next_check_at ?? 0) - till.clock.ms).toBeGreaterThan(25_000);
    await shop.chain.mine(65);
    await till.later(5 * MINUTE);
    expect(await rowOf(paymentId)).toMatchObject({
      is_final: 1,
      next_check_at: null,
      reason: null,
    });
    const calls = shop.proxy.calls.length;
    await till.later(60 * MINUTE);
    expect(shop.proxy.calls.length).toBe(calls);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('is sent again when its block is dropped, and stays one credit (P-14)', async () => {
    const signed = await shop.pay();
    const snapshot = await shop.chain.rpc('evm_snapshot');
    const { paymentId } = await deposit(signed);
    await shop.chain.rpc('evm_revert', [snapshot]);
    await till.later(MINUTE);
    await till.later(MINUTE);
    await shop.chain.mine(65);
    await till.later(5 * MINUTE);
    expect(await rowOf(paymentId)).toMatchObject({ state: 'settled', is_final: 1 });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('that is gone for good is taken back: what is available from the wallet, the rest from shortfall; the wallet is frozen (P-14)', async () => {
    const signed = await shop.pay();
    const snapshot = await shop.chain.rpc('evm_snapshot');
    const { paymentId, accountId } = await deposit(signed);
    const { ledger } = till.store;
    const spent = await ledger.reserve(reserveRequest(accountId, 2 * USD));
    await ledger.capture(spent, spent.amount, null);
    const held = await ledger.reserve(reserveRequest(accountId, USD, { ttlMs: 3_600_000 }));
    await shop.chain.rpc('evm_revert', [snapshot]);
    await blacklist(signed.wallet.address);
    await pass(MINUTE);
    expect(await rowOf(paymentId)).toMatchObject({ state: 'settled' });
    await pass(10 * MINUTE);

    expect(await rowOf(paymentId)).toMatchObject({ state: 'reversed', reason: 'reorg' });
    const entries = await till.store.accounts.entries(accountId, { limit: 9, offset: 0 });
    const clearing = SYSTEM.clearing(shop.network.network);
    expect(entries[0]).toMatchObject({
      kind: 'REVERSAL',
      ref: paymentId,
      debit_account: accountId,
      credit_account: clearing,
      amount: 2 * USD,
    });
    const all = await ledger.read.selectFrom('entries').selectAll().orderBy('seq').execute();
    expect(all.at(-1)).toMatchObject({
      kind: 'REVERSAL',
      ref: `${paymentId}:shortfall`,
      debit_account: SYSTEM.shortfall,
      credit_account: clearing,
      amount: 3 * USD,
    });
    expect(await till.store.accounts.balance(accountId)).toEqual({ posted: USD, held: USD });
    const refused = await refusalOf(ledger.reserve(reserveRequest(accountId, 1)));
    expect(refused.code).toBe('account_frozen');
    expect(till.lines.filter(({ event }) => event === 'payment_reversed')).toEqual([
      {
        level: 'error',
        event: 'payment_reversed',
        fields: expect.objectContaining({ lost: '3.00' }),
      },
    ]);
    await ledger.void(held);
    await pass(10 * MINUTE);
    expect(await till.store.accounts.balance(accountId)).toEqual({ posted: USD, held: 0 });
    const again = await refusalOf(deposit(signed));
    expect(again).toMatchObject({
      code: 'payment_verification_failed',
      details: { reason: 'reorg' },
    });
    expect(await till.payments.status(paymentId)).toMatchObject({ status: 'reversed' });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('whose transfer reverts is pending until it expires, then failed, never credited (P-11)', async () => {
    const signed = await shop.pay();
    let blacklisted: Promise<unknown> | null = null;
    shop.proxy.rule = ({ method }) => {
      if (method !== 'eth_sendRawTransaction' || blacklisted !== null) return 'forward';
      blacklisted = blacklist(signed.wallet.address);
      return 'cut';
    };
    const id = await expectPending(deposit(signed));
    await till.later(MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'pending', reason: 'reverted' });
    await pass(10 * MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'expired', reason: 'expired' });
    const refused = await refusalOf(deposit(signed));
    expect(refused).toMatchObject({ code: 'invalid_payment', details: { reason: 'expired' } });
    expect(await till.deposits()).toEqual([]);
  });

  it('is not credited when the token takes the authorization and moves nothing (P-9)', async () => {
    await shop.chain.setCode(shop.chain.token, 'silent');
    const id = await expectPending(deposit(await shop.pay({ funds: 0n })));
    expect(await till.payments.status(id)).toMatchObject({ status: 'pending' });
    await pass(20 * MINUTE);
    expect(await till.deposits()).toEqual([]);
    const states = await till.store.ledger.read.selectFrom('payments').select('state').execute();
    expect(states.map(({ state }) => state)).not.toContain('settled');
  });

  it('that was taken in and never handed on is dropped once it expired', async () => {
    const signed = await shop.pay();
    const payment = await till.payments.decode(signed.header);
    const came = { dialect: 'v2 payment-signature', claim: null, identifier: null };
    const { id } = await till.store.ledger.write((tx) =>
      takeIn(tx.db, till.store.boxFor('payments'), payment, came, tx.nowMs),
    );
    await pass(MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'pending' });
    await pass(10 * MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'expired' });
    expect(await shop.chain.balanceOf(signed.wallet.address)).toBe(5_000_000n);
    expect(await till.deposits()).toEqual([]);
  });

  async function blacklist(address: string): Promise<Hex> {
    const args = [address as Hex, true] as const;
    const data = encodeFunctionData({ abi: TOKEN_ABI, functionName: 'blacklist', args });
    return shop.chain.send(shop.chain.token, data);
  }
});

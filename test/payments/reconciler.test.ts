import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PaymentRow } from '../../src/db/tables.ts';
import {
  beginSubmission,
  creditPayment,
  failPayment,
  keepAsking,
  storeBroadcast,
} from '../../src/payments/outcome.ts';
import { takeIn } from '../../src/payments/rows.ts';
import { newWallet, signPayment } from '../support/evm-payment.ts';
import {
  cameAs,
  openTill,
  paymentsConfig,
  playNetwork,
  refusalOf,
  type Till,
} from '../support/till.ts';

const NETWORK = playNetwork();
const CAME = { dialect: 'v2 payment-signature', claim: null, identifier: null };
const MINUTE = 60_000;

describe('the reconciler', () => {
  let till: Till;
  beforeEach(async () => {
    till = await openTill({ networks: [NETWORK] });
  });
  afterEach(() => till[Symbol.asyncDispose]());

  /** A payment as an earlier process left it. */
  async function left(changes: Partial<PaymentRow>) {
    const now = Math.floor(till.clock.nowMs() / 1_000);
    const header = cameAs(NETWORK, await signPayment(newWallet(), NETWORK, 5_000_000n, now));
    const payment = await till.payments.decode(header);
    const row = await till.store.ledger.write(async (tx) => {
      const { id } = await takeIn(tx.db, till.store.boxFor('payments'), payment, CAME, tx.nowMs);
      return tx.db
        .updateTable('payments')
        .set({ attempts: 0, ...changes })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirstOrThrow();
    });
    return { header, row };
  }
  const SUBMITTED = {
    state: 'submitted',
    submitted_at: 1,
    transaction_id: `0x${'ab'.repeat(32)}`,
  } as const;
  const states = async () => {
    const rows = await till.store.ledger.read
      .selectFrom('payments')
      .select(['id', 'state'])
      .orderBy('id')
      .execute();
    return rows.map(({ state }) => state);
  };

  it('takes up at the start what an earlier process had handed on, without waiting for its lease', async () => {
    await left({ ...SUBMITTED, next_check_at: till.clock.ms + 2 * MINUTE });
    await till.payments.start();
    await expect.poll(states).toEqual(['settled']);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('settles by itself what was marked as handed on and never was', async () => {
    await left({ ...SUBMITTED, transaction_id: null, next_check_at: 1 });
    await till.payments.reconcile();
    expect(await states()).toEqual(['settled']);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('never hands on what was only taken in: that waits for its sender until it expires', async () => {
    const { header } = await left({});
    await till.payments.start();
    await till.later(MINUTE);
    expect(await states()).toEqual(['received']);
    await till.later(10 * MINUTE);
    expect(await states()).toEqual(['expired']);
    const refused = await refusalOf(till.payments.deposit(header));
    expect(refused).toMatchObject({ code: 'invalid_payment', details: { reason: 'expired' } });
    expect(await till.deposits()).toEqual([]);
  });

  it('goes on past a row that cannot be read, and past a network that is gone', async () => {
    await left({ ...SUBMITTED, next_check_at: 1, payment: 'no JSON' });
    await left({ ...SUBMITTED, next_check_at: 2, network: 'eip155:137' });
    await left({ ...SUBMITTED, next_check_at: 3 });
    expect(await till.payments.reconcile()).toBe(3);
    expect(await states()).toEqual(['submitted', 'submitted', 'settled']);
    const rows = await till.store.ledger.read
      .selectFrom('payments')
      .selectAll()
      .orderBy('id')
      .execute();
    expect(rows[1]?.reason).toBe('network_not_configured');
    expect(rows.slice(0, 2).every((row) => (row.next_check_at ?? 0) > till.clock.ms)).toBe(true);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('looks at no more than fifty at once, the longest due first', async () => {
    for (let n = 0; n < 60; n++) await left({ ...SUBMITTED, next_check_at: n + 1 });
    expect(await till.payments.reconcile()).toBe(50);
    expect((await states()).filter((state) => state === 'settled')).toHaveLength(50);
    expect((await states()).slice(50)).toEqual(Array(10).fill('submitted'));
    expect(await till.payments.reconcile()).toBe(10);
    expect(await till.deposits()).toHaveLength(60);
  });

  it('and callers with the same payment make one credit of it', async () => {
    const { header } = await left({ ...SUBMITTED, next_check_at: 1 });
    const [, , ...answers] = await Promise.all([
      till.payments.reconcile(),
      till.payments.reconcile(),
      ...Array.from({ length: 10 }, () => till.payments.deposit(header)),
    ]);
    expect(new Set(answers.map(({ transaction }) => transaction)).size).toBe(1);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('does not move a payment backwards that was credited while it was being looked at', async () => {
    const { header, row } = await left({ ...SUBMITTED, next_check_at: 1 });
    await till.payments.deposit(header);
    const { ledger } = till.store;
    const config = paymentsConfig([NETWORK]);
    const again = { transaction: '0x4', amount: 9n, block: '9', isFinal: true };
    const credited = await creditPayment(
      row.id,
      { state: 'settled', ...again },
      { ledger, config },
    );
    expect(credited).toMatchObject({ state: 'settled', units: '5000000' });
    await failPayment(ledger, row.id, 'expired');
    expect(await beginSubmission(ledger, row.id)).toMatchObject({ mayHandOn: false });
    await expect(
      storeBroadcast(ledger, till.store.boxFor('payments'), row.id, '0x1', '0x2'),
    ).rejects.toThrow('settled');
    await keepAsking(ledger, row.id, { state: 'unknown', reason: 'late', transaction: '0x3' });
    expect(await till.payments.status(row.id)).toMatchObject({ status: 'settled', reason: null });
    expect(await till.deposits()).toEqual([5_000_000]);
  });
});

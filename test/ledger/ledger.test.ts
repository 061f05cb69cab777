import { describe, expect, it } from 'vitest';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { nanoUsd, parseUsd } from '../../src/money.ts';
import { reserveRequest, testStore } from '../support/store.ts';

const USD = 1_000_000_000;

describe('ledger', () => {
  it('gives back what a request did not use', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const hold = await store.ledger.reserve(reserveRequest(account, 400));
    expect(hold.balance).toEqual({ posted: USD, held: 400 });
    const done = await store.ledger.capture(hold, nanoUsd(150), '{"inputTokens":1}');
    expect(done).toEqual({
      charged: 150,
      shortfall: 0,
      balance: { posted: USD - 150, held: 0 },
      limitLeft: null,
      wasResolvedBefore: false,
    });
    expect(await store.available(account)).toBe(USD - 150);
    await store.check();
  });

  it('holds for exactly as many concurrent requests as the balance covers (L-1)', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const results = await Promise.allSettled(
      Array.from({ length: 200 }, () => store.ledger.reserve(reserveRequest(account, USD / 10))),
    );
    const held = results.filter((result) => result.status === 'fulfilled');
    const refused = results.filter((result) => result.status === 'rejected');
    expect(held).toHaveLength(10);
    for (const { reason } of refused)
      expect(reason).toMatchObject({ code: 'insufficient_balance' });
    expect(await store.available(account)).toBe(0);
    await store.check();
    await Promise.all(held.map((result) => store.ledger.void(result.value)));
    expect(await store.available(account)).toBe(USD);
    await store.check();
  });

  it('lowers a hold to what is available, but not below what still serves', async () => {
    await using store = await testStore();
    const account = await store.wallet('0.000001');
    const fitted = await store.ledger.reserve(
      reserveRequest(account, 5_000, { atLeast: nanoUsd(900) }),
    );
    expect(fitted.amount).toBe(1_000);
    await expect(
      store.ledger.reserve(reserveRequest(account, 10, { atLeast: nanoUsd(1) })),
    ).rejects.toMatchObject({
      code: 'insufficient_balance',
      details: { availableNano: 0, neededNano: 1, ceilingNano: 10 },
    });
    await store.check();
  });

  it('resolves a hold once and tells later callers what the first one did', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const hold = await store.ledger.reserve(reserveRequest(account, 100));
    const both = await Promise.all([
      store.ledger.capture(hold, nanoUsd(40), null),
      store.ledger.void(hold),
      store.ledger.capture(hold, nanoUsd(90), null),
    ]);
    expect(both.map((done) => [done.charged, done.wasResolvedBefore])).toEqual([
      [40, false],
      [40, true],
      [40, true],
    ]);
    expect(await store.ledger.void(hold)).toMatchObject({ charged: 40, wasResolvedBefore: true });
    expect(await store.available(account)).toBe(USD - 40);
    await store.check();
  });

  it('books a cost above the hold to the shortfall, never below zero (L-10)', async () => {
    await using store = await testStore();
    const account = await store.wallet('0.0000001');
    const hold = await store.ledger.reserve(reserveRequest(account, 100));
    const done = await store.ledger.capture(hold, nanoUsd(250), null);
    expect(done).toMatchObject({ charged: 100, shortfall: 150, balance: { posted: 0, held: 0 } });
    const entries = await store.ledger.read
      .selectFrom('entries')
      .select(['kind', 'debit_account', 'credit_account', 'amount'])
      .where('ref', '=', hold.id)
      .orderBy('seq')
      .execute();
    expect(entries).toEqual([
      { kind: 'CHARGE', debit_account: account, credit_account: SYSTEM.revenue, amount: 100 },
      {
        kind: 'SHORTFALL',
        debit_account: SYSTEM.shortfall,
        credit_account: SYSTEM.revenue,
        amount: 150,
      },
    ]);
    await store.check();
  });

  it('records a free request without an entry, and refuses negative amounts (L-13)', async () => {
    await using store = await testStore();
    const account = await store.wallet('0');
    const hold = await store.ledger.reserve(reserveRequest(account, 0));
    expect(await store.ledger.capture(hold, nanoUsd(0), '{}')).toMatchObject({ charged: 0 });
    await expect(store.ledger.reserve(reserveRequest(account, -1))).rejects.toMatchObject({
      code: 'internal',
    });
    await expect(async () => store.ledger.capture(hold, nanoUsd(-1), null)).rejects.toThrow(/-1/);
    await expect(
      store.ledger.write((tx) =>
        tx.post({
          kind: 'ADJUST',
          ref: 'x',
          debit: account,
          credit: SYSTEM.adjustments,
          amount: nanoUsd(-5),
        }),
      ),
    ).rejects.toMatchObject({ code: 'internal' });
    await store.check();
  });

  it('counts a key in its three windows, and a late capture in the windows of its hold', async () => {
    await using store = await testStore();
    store.clock.ms = Date.UTC(2026, 10, 30, 23, 59, 59, 900);
    const account = await store.wallet('1');
    const key = await store.keys.create({ type: 'INFERENCE', description: '', accountId: account });
    const first = await store.ledger.reserve(reserveRequest(account, 100, { keyId: key.id }));
    store.clock.ms += 200;
    const second = await store.ledger.reserve(reserveRequest(account, 70, { keyId: key.id }));
    await store.ledger.capture(first, nanoUsd(60), null);
    const windows = await store.ledger.read
      .selectFrom('key_windows')
      .select(['period', 'start', 'captured', 'held'])
      .orderBy('period')
      .orderBy('start')
      .execute();
    expect(windows).toEqual([
      { period: 'EPOCH', start: '2026-11-30', captured: 60, held: 0 },
      { period: 'EPOCH', start: '2026-12-01', captured: 0, held: 70 },
      { period: 'LIFETIME', start: '', captured: 60, held: 70 },
      { period: 'MONTH', start: '2026-11', captured: 60, held: 0 },
      { period: 'MONTH', start: '2026-12', captured: 0, held: 70 },
    ]);
    await store.ledger.void(second);
    await store.check();
  });

  it('does nothing of a write that throws, and everything of its neighbours', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const grant = (ref: string, fail: boolean) =>
      store.ledger.write(async (tx) => {
        await tx.post({
          kind: 'GRANT',
          ref,
          debit: SYSTEM.grants,
          credit: account,
          amount: nanoUsd(7),
        });
        if (fail) throw new Error('changed my mind');
        return tx.nowMs;
      });
    const results = await Promise.allSettled([
      grant('a', false),
      grant('b', true),
      store.ledger.reserve(reserveRequest(account, 5)),
      grant('c', false),
      grant('a', false),
    ]);
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'rejected',
    ]);
    expect((await store.accounts.balance(account)).posted).toBe(USD + 14);
    await store.check();
  });

  it('takes a nonce once, also within one batch and after a restart (K-1)', async () => {
    await using store = await testStore();
    const expires = store.clock.ms + 360_000;
    const uses = await Promise.all(
      Array.from({ length: 20 }, () => store.ledger.useNonce('siwx:a', expires)),
    );
    expect(uses.filter(Boolean)).toHaveLength(1);
    await using again = await store.reopen();
    expect(await again.ledger.useNonce('siwx:a', expires)).toBe(false);
    expect(await again.ledger.useNonce('siwx:b', expires)).toBe(true);
    again.clock.ms = expires + 1;
    await again.sweep();
    expect(await again.ledger.read.selectFrom('siwx_nonces').selectAll().execute()).toEqual([]);
  });

  it('gives expired holds back', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const hold = await store.ledger.reserve(reserveRequest(account, 100, { ttlMs: 5_000 }));
    store.clock.ms += 4_999;
    await store.sweep();
    expect(await store.available(account)).toBe(USD - 100);
    store.clock.ms += 2;
    await store.sweep();
    expect(await store.available(account)).toBe(USD);
    expect(await store.ledger.capture(hold, nanoUsd(50), null)).toMatchObject({
      charged: 0,
      wasResolvedBefore: true,
    });
    await store.check();
  });

  it('refuses new holds of a frozen account and still captures running ones', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const hold = await store.ledger.reserve(reserveRequest(account, 100));
    await store.ledger.write(({ db }) =>
      db.updateTable('accounts').set({ state: 'frozen' }).where('id', '=', account).execute(),
    );
    await expect(store.ledger.reserve(reserveRequest(account, 1))).rejects.toMatchObject({
      code: 'account_frozen',
    });
    expect(await store.ledger.capture(hold, nanoUsd(60), null)).toMatchObject({ charged: 60 });
    await store.check();
  });

  it('keeps ledger time from going back when the clock does', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    store.clock.ms -= 3_600_000;
    const hold = await store.ledger.reserve(reserveRequest(account, 100));
    await store.ledger.capture(hold, nanoUsd(10), null);
    const times = await store.ledger.read
      .selectFrom('entries')
      .select('at')
      .orderBy('seq')
      .execute();
    expect(times.map(({ at }) => at)).toEqual(times.map(({ at }) => at).toSorted((a, b) => a - b));
  });

  it('caps an account at a million dollars', async () => {
    await using store = await testStore();
    const account = await store.wallet('999999');
    await expect(
      store.ledger.write((tx) =>
        tx.post({
          kind: 'GRANT',
          ref: 'more',
          debit: SYSTEM.grants,
          credit: account,
          amount: parseUsd('2'),
        }),
      ),
    ).rejects.toMatchObject({ code: 'invalid_request' });
    await store.check();
  });
});

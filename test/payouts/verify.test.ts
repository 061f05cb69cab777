import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from 'kysely';
import type { Principal } from '../../src/auth/principal.ts';
import { parseUsd } from '../../src/money.ts';
import { verifyStore } from '../../src/verify.ts';
import { type Desk, openDesk } from '../support/payouts.ts';
import { playNetwork, refusalOf } from '../support/till.ts';

describe('verify', () => {
  let desk: Desk;
  let accountId: string;
  beforeEach(async () => {
    desk = await openDesk({ networks: [playNetwork()] });
    accountId = await desk.till.store.wallet('5');
  });
  afterEach(() => desk.close());

  async function faults() {
    const { dataDir, clock } = desk.till.store;
    const found = await verifyStore({ dataDir, nowMs: clock.nowMs() });
    return found.faults.map(({ invariant, row }) => `${invariant} ${row.split(' ')[0]}`);
  }

  async function falsify(statement: string): Promise<void> {
    await desk.till.store.ledger.write(({ db }) => sql.raw(statement).execute(db));
  }

  it('finds nothing wrong with payouts in any state', async () => {
    await desk.pay(accountId, '1');
    await desk.pay(accountId, '1', 'manual');
    const { id } = await desk.pay(accountId, '1', 'manual');
    await desk.payouts.cancel('cli', id, 'never mind');
    expect(await faults()).toEqual([]);
    expect(await desk.withdrawals()).toEqual([1_000_000]);
  });

  it.each([
    [
      'a settled payout without its withdrawal',
      "update payouts set state = 'settled', transaction_id = '0x1', method = 'manual' where state = 'approved'",
    ],
    [
      'a withdrawal of another amount',
      "update payouts set amount = amount + 1000, units = '1000001' where state = 'settled'",
    ],
    [
      'a withdrawal that no payout made',
      "update entries set ref = 'out_none' where kind = 'WITHDRAWAL'",
    ],
    [
      'money paid out to somebody else',
      "update payouts set recipient = '0x9' where state = 'settled'",
    ],
    [
      'a payout under way whose hold was given back',
      "update payouts set state = 'requested' where state = 'settled'",
    ],
    [
      'an ended payout whose hold is open',
      "update payouts set state = 'cancelled' where state = 'approved'",
    ],
    ['a hold whose payout is gone', "delete from payouts where state = 'approved'"],
    [
      'one on its way that nobody looks at',
      "update payouts set state = 'sent', transaction_id = '0x1' where state = 'approved'",
    ],
    [
      'clearing that is not its payments and payouts',
      "update entries set credit_account = 'sys:clearing:none' where kind = 'WITHDRAWAL'",
    ],
  ])('tells %s', async (_, statement) => {
    await desk.pay(accountId, '1');
    await desk.pay(accountId, '2', 'manual');
    expect(await faults()).toEqual([]);
    await falsify(statement);
    const found = await faults();
    expect(
      found.filter((fault) => /^[36] (payouts|entries|holds|sys:clearing)/.test(fault)),
    ).not.toEqual([]);
  });
});

describe('an operator’s work', () => {
  it('is done for operators alone, whichever route was in front of it (A-2)', async () => {
    const desk = await openDesk({ networks: [playNetwork()] });
    try {
      const accountId = await desk.till.store.wallet('5');
      const { id } = await desk.pay(accountId, '1', 'manual');
      const wallet = {
        family: 'eip155' as const,
        chain: '',
        address: `0x${'1'.padStart(40, '0')}`,
      };
      const key = { kind: 'key' as const, accountId, keyId: 'key_1', ancestors: [], rules: [] };
      const others = [
        { kind: 'wallet', role: 'wallet', wallet, accountId },
        { ...key, role: 'admin', keyType: 'ADMIN', isBound: false },
        { ...key, role: 'inference', keyType: 'INFERENCE', isBound: false },
      ] as unknown as Principal[];
      const { payouts } = desk;
      const reason = 'because I can';
      for (const by of others) {
        for (const act of [
          () => payouts.make(by, { accountId, amount: parseUsd('1'), method: 'manual', reason }),
          () => payouts.approve(by, id, { method: 'embedded', reason }),
          () => payouts.sentByHand(by, id, { transaction: `0x${'1'.repeat(64)}`, reason }),
          () => payouts.cancel(by, id, reason),
        ]) {
          expect((await refusalOf(act())).code).toBe('forbidden');
        }
      }
      expect(await desk.row(id)).toMatchObject({ state: 'approved', method: 'manual' });
    } finally {
      await desk.close();
    }
  });
});

import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/log.ts';
import { nanoUsd } from '../../src/money.ts';
import { Traffic } from '../../src/routing/traffic.ts';
import { AttemptKeeper, ChannelUsage } from '../../src/usage/channels.ts';
import { RollUp } from '../../src/usage/roll-up.ts';
import { DAY_MS } from '../../src/usage/sources.ts';
import { verifyStore } from '../../src/verify.ts';
import { manualClock, reserveRequest, type TestStore, testStore } from '../support/store.ts';

const START = Date.UTC(2026, 1, 27, 23, 59, 30);
const FIRST_DAY = Math.floor(START / DAY_MS);
const ALL = { fromDay: 0, toDay: FIRST_DAY + 1_000 };

async function spend(store: TestStore, accountId: string, cost: number, usage: object | string) {
  const hold = await store.ledger.reserve(
    reserveRequest(accountId, Math.max(cost, 1), { keyId: null, model: `m${cost % 2}` }),
  );
  const text = typeof usage === 'string' ? usage : JSON.stringify(usage);
  await store.ledger.capture(hold, nanoUsd(cost), text);
}

function partsOf({ ledger, reports, clock }: TestStore) {
  const traffic = new Traffic();
  const keeper = new AttemptKeeper({ ledger, traffic, clock, log: silentLog });
  return { traffic, keeper, usage: new ChannelUsage(reports, keeper, clock) };
}

describe('sums by channel', () => {
  it('are exact after every step of the roll-up, and before the first', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    const accountId = await store.wallet('1');
    for (let at = 1; at <= 30; at += 1) {
      const channel = `c${at % 3}`;
      await spend(store, accountId, at, at % 5 ? { channel, upstream_nano: at * 7 } : { channel });
      if (at % 10 === 0) store.clock.ms += 60_000;
    }
    // What cost nothing, what names no channel, and what is no text.
    await spend(store, accountId, 0, { channel: 'c0', upstream_nano: 3 });
    await spend(store, accountId, 5, { input_tokens: 5 });
    await spend(store, accountId, 5, 'no JSON');
    await spend(store, accountId, 5, { channel: 5, upstream_nano: 'x' });
    const { usage } = partsOf(store);
    const rollUp = new RollUp({ ledger: store.ledger, log: silentLog });
    const before = await usage.served(ALL);
    const parts = await usage.parts('c0', ALL);
    expect([...before.keys()].toSorted()).toEqual(['c0', 'c1', 'c2']);
    const of0 = [3, 6, 9, 12, 15, 18, 21, 24, 27, 30];
    const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
    expect(before.get('c0')).toEqual({
      requests: 11,
      revenue: BigInt(sum(of0)),
      upstream: BigInt(7 * sum(of0.filter((at) => at % 5)) + 3),
      uncosted: 2,
    });
    expect(new Set(parts.map(({ day }) => day)).size).toBe(2);
    let steps = 0;
    do {
      expect(await usage.served(ALL)).toEqual(before);
      expect(await usage.parts('c0', ALL)).toEqual(parts);
      await store.check();
      steps += 1;
    } while (await rollUp.step(5));
    expect(steps).toBeGreaterThan(5);
    expect((await usage.served({ fromDay: 0, toDay: FIRST_DAY - 1 })).size).toBe(0);
  });

  it('are checked by verify: one that was changed is named', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    const accountId = await store.wallet('1');
    await spend(store, accountId, 9, { channel: 'c0', upstream_nano: 3 });
    await new RollUp({ ledger: store.ledger, log: silentLog }).run();
    await store.check();
    await store.ledger.write(async ({ db }) => {
      await db.updateTable('channel_days').set({ upstream: 4 }).execute();
    });
    const { faults } = await verifyStore({ dataDir: store.dataDir, nowMs: store.clock.nowMs() });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ invariant: 8 });
    expect(JSON.stringify(faults)).toContain(`channel_days c0 ${FIRST_DAY} m1`);
    await store.ledger.write(async ({ db }) => {
      await db.updateTable('channel_days').set({ upstream: 3 }).execute();
    });
  });
});

describe('attempts', () => {
  it('are told as they happen, written down once, and added up over days', async () => {
    await using store = await testStore({ clock: manualClock(START) });
    const { traffic, keeper, usage } = partsOf(store);
    const count = (kind: 'good' | 'sick' | 'busy' | 'unknown') => {
      traffic.of('c0').attempts += 1;
      traffic.of('c0').ended[kind] += 1;
    };
    for (const kind of ['good', 'good', 'sick', 'busy', 'unknown'] as const) count(kind);
    const five = { attempts: 5, good: 2, sick: 1, busy: 1 };
    expect((await usage.attempts(ALL)).get('c0')).toEqual(five);
    await keeper.keep();
    await keeper.keep();
    expect((await usage.attempts(ALL)).get('c0')).toEqual(five);
    store.clock.ms += DAY_MS;
    count('sick');
    await keeper.stop();
    const rows = await store.ledger.read.selectFrom('channel_attempts').selectAll().execute();
    expect(rows).toEqual([
      { channel_id: 'c0', day: FIRST_DAY, ...five },
      { channel_id: 'c0', day: FIRST_DAY + 1, attempts: 1, good: 0, sick: 1, busy: 0 },
    ]);
    expect(
      (await usage.attempts({ fromDay: FIRST_DAY + 1, toDay: FIRST_DAY + 1 })).get('c0'),
    ).toEqual({ attempts: 1, good: 0, sick: 1, busy: 0 });
    // Taken out of the settings and put back: counted from nothing, nothing is subtracted.
    traffic.keepOnly(new Set());
    count('good');
    await keeper.keep();
    expect((await usage.attempts(ALL)).get('c0')).toEqual({
      attempts: 7,
      good: 3,
      sick: 2,
      busy: 1,
    });
  });
});

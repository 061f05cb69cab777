import { describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.ts';
import { manualClock } from '../support/store.ts';
import {
  CEILING,
  expectPaid,
  startWave,
  walletWithKeys,
  wavePrices,
  windowsOf,
} from '../support/waves.ts';

/** `npm run fuzz` does more of them. */
const ROUNDS = Number(process.env['CAPS_ROUNDS'] ?? 4);
const CALLS = 100;
const DAY = 86_400_000;
const DAILY = { usd: 1, period: 'EPOCH' as const };
const MONTHLY = { usd: 1, period: 'MONTH' as const };

/** Of a round: which of the bounds stops the calls differs from one to the next. */
const KINDS = [
  { wallet: '5', caps: [1, 0.75], parent: null, served: [10, 7] },
  { wallet: '1.29', caps: [1, 0.75], parent: null, total: 12 },
  { wallet: '5', caps: [1, 0.75], parent: 1.2, total: 12 },
  { wallet: '5', caps: [null, 0.05], parent: 0.9, served: [9, 0] },
];

async function playRound(shop: TestApp, round: number): Promise<void> {
  const { wallet, caps, parent, served, total } = KINDS[round % KINDS.length]!;
  // An answer of no tokens would be counted from its text.
  const tokens = 1 + ((round * 37) % 100);
  const period = (['EPOCH', 'MONTH', 'LIFETIME'] as const)[round % 3]!;
  const { accountId, keys } = await walletWithKeys(shop, wallet, [
    { usd: parent, period },
    ...caps.map((usd) => ({ usd, period, parent: 0 })),
  ]);
  const own = keys.slice(1);
  const wave = await startWave(shop, own, CALLS);
  const all = wave.served[0]! + wave.served[1]!;
  if (served) expect(wave.served).toEqual(served);
  else expect(all).toBe(total);
  const { accounts } = shop.app.store;
  expect((await accounts.balance(accountId)).held).toBe(all * CEILING);
  for (const { status } of wave.refused) expect(status).toBe(402);
  const before = (await accounts.balance(accountId)).posted;
  const answers = await wave.release(tokens);
  for (const [of, count] of wave.served.entries()) {
    expectPaid(answers[of]!, count);
    expect(count * CEILING).toBeLessThanOrEqual((caps[of] ?? 5) * 1e9);
    if (count) {
      const windows = Object.values(await windowsOf(shop, own[of]!.id));
      expect(windows).toEqual(windows.map(() => `${count * tokens}+0`));
      expect(windows).toHaveLength(3);
    }
  }
  const spent = all * tokens * 1_000_000;
  expect(await accounts.balance(accountId)).toEqual({ posted: before - spent, held: 0 });
}

describe('keys with limits', () => {
  it(
    `keep each limit, that of the key above and the wallet, over ${ROUNDS} rounds of two keys and ${CALLS} calls each at once (L-2, L-3)`,
    { timeout: 60_000 + ROUNDS * 3_000 },
    async () => {
      const clock = manualClock();
      await using shop = await startApp({ ...wavePrices, clock });
      for (let round = 0; round < ROUNDS; round += 1) {
        await playRound(shop, round);
        clock.ms += 60_000;
        // What a thousand rounds recorded is not needed.
        shop.upstream.requests.length = 0;
        shop.logged.length = 0;
      }
      await shop.check();
    },
  );

  it.each([
    ['a month of 30 days', '2026-11-30', '2026-12-01'],
    ['a year', '2027-12-31', '2028-01-01'],
    ['February in a leap year', '2028-02-29', '2028-03-01'],
    ['February 28 in a leap year', '2028-02-28', '2028-02-29'],
    ['February 28 in 2100, no leap year', '2100-02-28', '2100-03-01'],
    ['a day in a month', '2027-01-30', '2027-01-31'],
  ])(
    'count a call in the window that it began in, over the end of %s (L-5, L-6)',
    async (_end, day, next) => {
      const clock = manualClock(Date.parse(`${day}T23:59:59.900Z`));
      await using shop = await startApp({ ...wavePrices, clock });
      const { keys } = await walletWithKeys(shop, '9', [DAILY, MONTHLY]);
      const before = await startWave(shop, keys, CALLS);
      expect(before.served).toEqual([10, 10]);
      clock.ms += 200;
      const isNewMonth = day.slice(0, 7) !== next.slice(0, 7);
      const after = await startWave(shop, keys, CALLS);
      expect(after.served).toEqual([10, isNewMonth ? 10 : 0]);
      await before.release(40);
      await after.release(70);
      expect(await windowsOf(shop, keys[0]!.id)).toMatchObject({ [day]: '400+0', [next]: '700+0' });
      const months = isNewMonth
        ? { [day.slice(0, 7)]: '400+0', [next.slice(0, 7)]: '700+0' }
        : { [day.slice(0, 7)]: '400+0' };
      expect(await windowsOf(shop, keys[1]!.id)).toMatchObject(months);
      await shop.check();
    },
  );

  it('do not open a day again when the clock goes back, and open the next when it goes forth (L-7)', async () => {
    const clock = manualClock(Date.parse('2026-11-30T23:59:59.900Z'));
    await using shop = await startApp({ ...wavePrices, clock });
    const { keys } = await walletWithKeys(shop, '9', [DAILY]);
    await (await startWave(shop, keys, 3)).release(100);
    clock.ms += 200;
    await (await startWave(shop, keys, 10)).release(100);
    clock.ms -= 3_600_000;
    const back = await startWave(shop, keys, 20);
    expect(back.served).toEqual([0]);
    clock.ms += DAY;
    const forth = await startWave(shop, keys, 20);
    expect(forth.served).toEqual([0]);
    clock.ms += 3_600_000;
    const next = await startWave(shop, keys, 20);
    expect(next.served).toEqual([10]);
    await next.release(1);
    expect(await windowsOf(shop, keys[0]!.id)).toMatchObject({
      '2026-11-30': '300+0',
      '2026-12-01': '1000+0',
      '2026-12-02': '10+0',
    });
    await shop.check();
  });

  it('need no job at midnight: a server that was down for three days is right (L-9)', async () => {
    const clock = manualClock(Date.parse('2028-02-28T12:00:00Z'));
    await using shop = await startApp({ ...wavePrices, clock });
    const lifelong = { usd: 1, period: 'LIFETIME' as const };
    const { keys } = await walletWithKeys(shop, '9', [DAILY, MONTHLY, lifelong]);
    await (await startWave(shop, keys, 10)).release(100);
    await shop.stop();
    clock.ms += 3 * DAY;
    await using again = await startApp({ ...wavePrices, clock, dataDir: shop.dataDir });
    const wave = await startWave(again, keys, 20);
    expect(wave.served).toEqual([10, 10, 0]);
    await wave.release(50);
    await again.check();
  });

  it('change for the next call, and running ones end as they began (L-4)', async () => {
    await using shop = await startApp(wavePrices);
    const { accountId, keys } = await walletWithKeys(shop, '9', [DAILY, DAILY]);
    const store = shop.app.store;
    const running = await startWave(shop, keys, 5);
    expect(running.served).toEqual([5, 5]);
    const scope = { accountId, under: null };
    await store.keys.update(keys[0]!.id, { limits: { usd: 0.2 } }, scope, { actor: 'test' });
    await store.keys.revoke(keys[1]!.id, scope);
    const later = await startWave(shop, keys, 20);
    expect(later.served).toEqual([0, 0]);
    const codes = later.refused.map(({ status }) => `${status}`).toSorted();
    expect(codes).toEqual([...Array<string>(20).fill('401'), ...Array<string>(20).fill('402')]);
    const answers = await running.release(100);
    for (const ofKey of answers) expectPaid(ofKey, 5);
    for (const { id } of keys) {
      expect(Object.values(await windowsOf(shop, id))).toEqual(['500+0', '500+0', '500+0']);
    }
    await store.keys.update(keys[0]!.id, { limits: { usd: 0.7 } }, scope, { actor: 'test' });
    const raised = await startWave(shop, keys.slice(0, 1), 20);
    expect(raised.served).toEqual([2]);
    await raised.release(0);
    await shop.check();
  });
});

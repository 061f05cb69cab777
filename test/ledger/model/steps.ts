/** Random histories: ticks of operations that arrive one by one or all at once, and what happens between them. */
import fc from 'fast-check';
import type { Period } from './model.ts';

const PERIODS: Period[] = ['EPOCH', 'MONTH', 'LIFETIME'];
const SECOND = 1_000;
export const DAY = 86_400_000;

const often = <T>(value: T) => ({ weight: 9, arbitrary: fc.constant(value) });
const rarely = <T>(value: T) => ({ weight: 1, arbitrary: fc.constant(value) });

const small = fc.nat(999);
const amount = fc.oneof(fc.nat(4_000), fc.nat(400), fc.nat(400));

/** Accounts, keys and holds are said by any number, taken modulo how many there are. */
const steps = {
  reserve: fc.record({
    do: fc.constant('reserve' as const),
    account: small,
    key: fc.option(small, { freq: 6 }),
    amount,
    // Per mille of the amount that still serves.
    least: fc.oneof(fc.constant(1_000), fc.nat(1_000)),
    minimumAvailable: fc.oneof(often(0), { weight: 1, arbitrary: amount }),
    // One that ends with its process, and one that does not; a hold of a task would need its task.
    purpose: fc.constantFrom('chat', 'other'),
    ttlMs: fc.constantFrom(SECOND, 60 * SECOND, 2 * DAY, 400 * DAY),
  }),
  resolve: fc.record({
    do: fc.constant('resolve' as const),
    hold: small,
    // Whether it may be one that was resolved before, or is by another operation of the tick, in ticks where that is so.
    again: fc.oneof(often(false), often(false), often(false), often(true)),
    how: fc.oneof(
      { weight: 5, arbitrary: fc.constant('capture' as const) },
      { weight: 2, arbitrary: fc.constant('void' as const) },
      { weight: 1, arbitrary: fc.constant('expire' as const) },
    ),
    // Per mille of the hold.
    cost: fc.oneof(fc.nat(1_000), fc.constant(1_000), fc.nat(1_500)),
  }),
  // A capture that belongs to a larger write, and with that happens or does not.
  captureWithin: fc.record({
    do: fc.constant('captureWithin' as const),
    hold: small,
    cost: fc.nat(1_200),
    fails: fc.oneof(often(false), rarely(true)),
  }),
  deposit: fc.record({
    do: fc.constant('deposit' as const),
    account: small,
    units: fc.integer({ min: 1, max: 5 }),
  }),
  reverse: fc.record({ do: fc.constant('reverse' as const), payment: small }),
  grant: fc.record({
    do: fc.constant('grant' as const),
    account: small,
    amount: fc.integer({ min: 1, max: 3_000 }),
    fails: fc.boolean(),
  }),
  refund: fc.record({
    do: fc.constant('refund' as const),
    account: small,
    amount: fc.integer({ min: 1, max: 500 }),
  }),
  take: fc.record({ do: fc.constant('take' as const), account: small, amount }),
  setAside: fc.record({ do: fc.constant('setAside' as const), account: small, amount }),
  giveBack: fc.record({ do: fc.constant('giveBack' as const), hold: small }),
  freeze: fc.record({
    do: fc.constant('freeze' as const),
    account: small,
    isFrozen: fc.oneof(often(false), rarely(true)),
  }),
  limit: fc.record({
    do: fc.constant('limit' as const),
    key: small,
    period: fc.constantFrom(...PERIODS),
    limit: fc.option(fc.oneof(fc.nat(3_000), fc.nat(60_000)), { freq: 4 }),
  }),
  revoke: fc.record({
    do: fc.constant('revoke' as const),
    key: small,
    // As everybody does, or that one row alone: what comes from it must not serve either.
    how: fc.constantFrom('keys' as const, 'row' as const),
  }),
  endKey: fc.record({
    do: fc.constant('endKey' as const),
    key: small,
    inMs: fc.oneof(often(400 * DAY), fc.constantFrom(-SECOND, SECOND, DAY, 40 * DAY)),
  }),
  mint: fc.record({ do: fc.constant('mint' as const), account: small, parent: fc.option(small) }),
  nonce: fc.record({ do: fc.constant('nonce' as const), id: small }),
};

export type Step = { [Name in keyof typeof steps]: StepOf<Name> }[keyof typeof steps];
export type StepOf<Name extends keyof typeof steps> =
  (typeof steps)[Name] extends fc.Arbitrary<infer Value> ? Value : never;

const WEIGHTS: Record<keyof typeof steps, number> = {
  reserve: 100,
  resolve: 60,
  captureWithin: 8,
  deposit: 16,
  reverse: 1,
  grant: 8,
  refund: 4,
  take: 2,
  setAside: 2,
  giveBack: 2,
  freeze: 12,
  limit: 16,
  revoke: 1,
  endKey: 6,
  mint: 6,
  nonce: 4,
};

const step: fc.Arbitrary<Step> = fc.oneof(
  ...Object.entries(WEIGHTS).map(([name, weight]) => ({
    weight,
    arbitrary: steps[name as keyof typeof steps] as fc.Arbitrary<Step>,
  })),
);

/** Where a clock goes: over the edges of days and months as well as back. */
export type Move =
  { to: 'later' | 'back'; ms: number } | { to: 'before day' | 'day' | 'before month' | 'month' };

const move: fc.Arbitrary<Move> = fc.oneof(
  fc.record({
    to: fc.constant('later' as const),
    ms: fc.constantFrom(1, 200, 2 * SECOND, 90 * SECOND, DAY, 3 * DAY, 40 * DAY),
  }),
  fc.record({
    to: fc.constant('back' as const),
    ms: fc.constantFrom(1, 200, 3_600 * SECOND, DAY, 40 * DAY),
  }),
  fc.record({
    to: fc.constantFrom(
      'before day' as const,
      'day' as const,
      'before month' as const,
      'month' as const,
    ),
  }),
);

export interface Tick {
  before: Move | 'restart' | null;
  together: boolean;
  /** Whether operations resolve holds that are resolved already. */
  again: boolean;
  steps: Step[];
}

const few = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' });
/** More than the writer takes into one batch. */
const many = fc.array(step, { minLength: 520, maxLength: 600, size: 'max' });

const tick: fc.Arbitrary<Tick> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({
      before: fc.oneof(often(null), { weight: 9, arbitrary: move }, rarely('restart' as const)),
      together: fc.oneof(often(true), rarely(false)),
      again: fc.oneof(often(false), often(false), often(true)),
      steps: few,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      before: fc.constant(null),
      together: fc.constant(true),
      again: fc.oneof(often(false), rarely(true)),
      steps: many,
    }),
  },
);

export interface History {
  startMs: number;
  ticks: Tick[];
}

export const history: fc.Arbitrary<History> = fc.record({
  startMs: fc.constantFrom(
    Date.UTC(2026, 10, 30, 23, 59, 59, 900),
    Date.UTC(2027, 0, 31, 12),
    Date.UTC(2027, 11, 31, 23, 59, 59, 999),
    Date.UTC(2028, 1, 28, 23, 59, 59, 900),
    Date.UTC(2028, 1, 29, 23, 59, 59, 900),
    Date.UTC(2100, 1, 28, 23, 59, 59, 900),
  ),
  ticks: fc.array(tick, { minLength: 1, maxLength: 40, size: 'max' }),
});

/** Where a move leads from an instant. */
export function moved(ms: number, where: Move): number {
  if (where.to === 'later') return ms + where.ms;
  if (where.to === 'back') return ms - where.ms;
  const date = new Date(ms);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const nextDay = Date.UTC(year, month, day + 1);
  const nextMonth = Date.UTC(year, month + 1, 1);
  if (where.to === 'day') return nextDay;
  if (where.to === 'month') return nextMonth;
  return (where.to === 'before day' ? nextDay : nextMonth) - 100;
}

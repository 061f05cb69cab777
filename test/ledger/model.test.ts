import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Hold, SYSTEM } from '../../src/ledger/ledger.ts';
import { nanoUsd } from '../../src/money.ts';
import { reserveRequest, testStore, type TestStore } from '../support/store.ts';

const RUNS = Number(process.env.LEDGER_MODEL_RUNS ?? 40);
const ACCOUNTS = 3;

type Command =
  | { do: 'reserve'; account: number; amount: number; least: number; keyed: boolean }
  | { do: 'capture'; hold: number; cost: number }
  | { do: 'void'; hold: number }
  | { do: 'grant'; account: number; amount: number; fails: boolean }
  | { do: 'nonce'; id: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    do: fc.constant('reserve' as const),
    account: fc.nat(ACCOUNTS - 1),
    amount: fc.nat(400),
    least: fc.nat(100),
    keyed: fc.boolean(),
  }),
  fc.record({ do: fc.constant('capture' as const), hold: fc.nat(30), cost: fc.nat(500) }),
  fc.record({ do: fc.constant('void' as const), hold: fc.nat(30) }),
  fc.record({
    do: fc.constant('grant' as const),
    account: fc.nat(ACCOUNTS - 1),
    amount: fc.integer({ min: 1, max: 300 }),
    fails: fc.boolean(),
  }),
  fc.record({ do: fc.constant('nonce' as const), id: fc.nat(8) }),
);

interface ModelHold {
  account: number;
  amount: number;
  charged: number | null;
}

/** What the ledger must do, in plain numbers: one step at a time, in the order of arrival. */
class Model {
  posted: number[] = Array.from({ length: ACCOUNTS }, () => 0);
  held: number[] = Array.from({ length: ACCOUNTS }, () => 0);
  holds: ModelHold[] = [];
  nonces = new Set<number>();

  reserve(account: number, amount: number, least: number): number | null {
    const available = this.posted[account]! - this.held[account]!;
    if (available < least) return null;
    const granted = Math.min(amount, available);
    this.held[account]! += granted;
    return granted;
  }

  resolve(hold: ModelHold, cost: number): number {
    if (hold.charged !== null) return hold.charged;
    hold.charged = Math.min(cost, hold.amount);
    this.held[hold.account]! -= hold.amount;
    this.posted[hold.account]! -= hold.charged;
    return hold.charged;
  }
}

interface Run {
  store: TestStore;
  model: Model;
  accounts: string[];
  key: string;
  real: Hold[];
  grants: number;
}

/** Submits one command; answers a check to run when all of its tick have been answered. */
function submit(run: Run, step: Command): Promise<() => void> {
  const { store, model, accounts } = run;
  if (step.do === 'reserve') return submitReserve(run, step);
  if (step.do === 'nonce') {
    const isFirst = !model.nonces.has(step.id);
    model.nonces.add(step.id);
    return store.ledger
      .useNonce(`n${step.id}`, 9_999_999_999_999)
      .then((used) => () => expect(used).toBe(isFirst));
  }
  if (step.do === 'grant') {
    run.grants += 1;
    const ref = `grant-${run.grants}`;
    if (!step.fails) model.posted[step.account]! += step.amount;
    const credit = accounts[step.account]!;
    const done = store.ledger.write(async (tx) => {
      await tx.post({
        kind: 'GRANT',
        ref,
        debit: SYSTEM.grants,
        credit,
        amount: nanoUsd(step.amount),
      });
      if (step.fails) throw new Error('no');
    });
    return done.then(
      () => () => expect(step.fails).toBe(false),
      () => () => expect(step.fails).toBe(true),
    );
  }
  const hold = run.real[step.hold];
  const modelHold = model.holds[step.hold];
  if (!hold || !modelHold) return Promise.resolve(() => {});
  const charged = model.resolve(modelHold, step.do === 'capture' ? step.cost : 0);
  const done =
    step.do === 'capture'
      ? store.ledger.capture(hold, nanoUsd(step.cost), null)
      : store.ledger.void(hold);
  return done.then((resolution) => () => expect(resolution.charged).toBe(charged));
}

function submitReserve(run: Run, step: Extract<Command, { do: 'reserve' }>): Promise<() => void> {
  const { store, model, accounts, key } = run;
  const least = Math.min(step.least, step.amount);
  const granted = model.reserve(step.account, step.amount, least);
  const request = reserveRequest(accounts[step.account]!, step.amount, {
    atLeast: nanoUsd(least),
    keyId: step.keyed ? key : null,
  });
  return store.ledger.reserve(request).then(
    (hold) => {
      run.real.push(hold);
      model.holds.push({ account: step.account, amount: hold.amount, charged: null });
      return () => expect(hold.amount).toBe(granted);
    },
    (error: unknown) => () => {
      expect(error).toMatchObject({ code: 'insufficient_balance' });
      expect(granted).toBeNull();
    },
  );
}

describe('ledger against a model', () => {
  it(
    `does what plain arithmetic does, over ${RUNS} random histories`,
    { timeout: 120_000 },
    async () => {
      const ticks = fc.array(fc.array(command, { maxLength: 12 }), { maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(ticks, async (history) => {
          await using store = await testStore();
          const accounts = await Promise.all([
            store.wallet('0'),
            store.wallet('0'),
            store.wallet('0'),
          ]);
          const { id: key } = await store.keys.create({ type: 'INFERENCE', description: '' });
          const run: Run = { store, model: new Model(), accounts, key, real: [], grants: 0 };
          for (const tick of history) {
            const checks = await Promise.all(tick.map((step) => submit(run, step)));
            for (const check of checks) check();
          }
          for (const [index, account] of accounts.entries()) {
            const balance = await store.accounts.balance(account);
            expect(balance).toEqual({
              posted: run.model.posted[index],
              held: run.model.held[index],
            });
          }
          await store.check();
        }),
        { numRuns: RUNS },
      );
    },
  );
});

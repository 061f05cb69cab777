/** One operation of a history, done to the model and to a real store; each answers how to compare what they said. */
import { expect } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { ALL_KEYS } from '../../../src/keys/keys.ts';
import { type Hold, SYSTEM, type WriteTx } from '../../../src/ledger/ledger.ts';
import { giveBack, setAside } from '../../../src/ledger/set-aside.ts';
import { nanoUsd } from '../../../src/money.ts';
import { reversePayment } from '../../../src/payments/outcome.ts';
import { reserveRequest, type TestStore } from '../../support/store.ts';
import { type Balance, Model, type Refused } from './model.ts';
import type { Step, StepOf } from './steps.ts';
import { deposit, takeUnspent } from './writes.ts';

const NEWEST_KEYS = 12;

/** Compares an answer; called when the whole tick has been answered. */
type Check = () => void;

interface Known<T> {
  /** Of the model. */
  index: number;
  real: T;
}

export class Operations {
  store: TestStore;
  readonly model: Model;
  readonly accounts: string[] = [];
  readonly keys: Known<string>[] = [];
  readonly holds: Known<Hold>[] = [];
  readonly asides: Known<string>[] = [];
  /** Holds that an operation of this tick resolves. */
  readonly #taken = new Set<number>();
  #mayRepeat = false;
  #refs = 0;

  constructor(store: TestStore) {
    this.store = store;
    this.model = new Model(store.clock.ms);
  }

  /** Operations from here on may resolve holds that others resolve as well, or may not. */
  begin({ again }: { again: boolean }): void {
    this.#mayRepeat = again;
    this.#taken.clear();
  }

  /** Hands one operation to the model and to the ledger, before anything is awaited: the order of these calls is that of arrival. */
  submit(step: Step, together: boolean): Promise<Check> {
    switch (step.do) {
      case 'reserve':
        return this.#reserve(step);
      case 'resolve':
        return this.#resolve(step, together);
      case 'captureWithin':
        return this.#captureWithin(step);
      case 'deposit':
        return this.#deposit(step);
      case 'reverse':
        return this.#reverse(step);
      case 'grant':
      case 'refund':
        return this.#post(step);
      case 'take':
        return this.#take(step);
      case 'setAside':
        return this.#setAside(step);
      case 'giveBack':
        return this.#giveBack(step);
      case 'mint':
        return this.#mint(step);
      case 'nonce':
        return this.#nonce(step);
      default:
        return this.#set(step);
    }
  }

  async #reserve(step: StepOf<'reserve'>): Promise<Check> {
    const key = step.key === null ? null : this.#key(step.key);
    const account = key ? this.model.keys[key.index]!.account : step.account % this.accounts.length;
    const { amount, purpose, ttlMs, minimumAvailable } = step;
    const atLeast = Math.floor((amount * step.least) / 1_000);
    const limits = { amount, atLeast, minimumAvailable, purpose, ttlMs };
    const expected = this.model.reserve({ account, key: key?.index ?? null, ...limits });
    const ancestors = this.model.lineage(key?.index ?? null).slice(1);
    const request = reserveRequest(this.accounts[account]!, amount, {
      ...limits,
      keyId: key?.real ?? null,
      ancestors: ancestors.map((index) => this.keys.find((known) => known.index === index)!.real),
    });
    const answer = await answerOf(this.store.ledger.reserve(request));
    if ('granted' in answer && 'hold' in expected) {
      this.holds.push({ index: expected.hold, real: answer.granted });
    }
    return () => {
      if (!('hold' in expected) || !('granted' in answer)) return compareRefusal(answer, expected);
      const { hold: _index, ...told } = expected;
      return expect(answer.granted).toMatchObject(told);
    };
  }

  async #resolve(step: StepOf<'resolve'>, together: boolean): Promise<Check> {
    const known = this.#untaken(step.hold, step.again && this.#mayRepeat);
    if (!known) return nothing;
    const { real, index } = known;
    const { ledger } = this.store;
    const cost = Math.ceil((real.amount * step.cost) / 1_000);
    const states = { capture: 'captured', void: 'voided', expire: 'expired' } as const;
    const expected = this.model.resolve(index, states[step.how], step.how === 'capture' ? cost : 0);
    const resolution =
      step.how === 'capture' ? ledger.capture(real, nanoUsd(cost), null) : ledger[step.how](real);
    const answer = await resolution;
    return () => {
      // Told from the row, which others of the tick have moved on from.
      const { balance: _later, ...stays } = expected;
      const isStale = together && expected.wasResolvedBefore;
      expect(answer).toMatchObject(isStale ? stays : expected);
    };
  }

  async #captureWithin(step: StepOf<'captureWithin'>): Promise<Check> {
    const known = this.#untaken(step.hold, this.#mayRepeat);
    if (!known) return nothing;
    const { real, index } = known;
    const cost = Math.ceil((real.amount * step.cost) / 1_000);
    const isOpen = this.model.holds[index]!.state === 'open';
    const isDone = isOpen && !step.fails;
    const expected = isDone ? this.model.resolve(index, 'captured', cost) : null;
    const answer = await this.#change(async (tx) => {
      const resolution = await tx.capture(real, nanoUsd(cost), null);
      if (step.fails) throw new Error('changed my mind');
      return resolution;
    }).catch(() => null);
    return () => expect(answer).toEqual(expected);
  }

  /** An open hold that nothing of this tick resolves; any hold, where that may happen again. */
  #untaken(any: number, again: boolean): Known<Hold> | undefined {
    const isOpen = ({ index }: Known<Hold>) =>
      this.model.holds[index]!.state === 'open' && !this.#taken.has(index);
    const known = pick(again ? this.holds : this.holds.filter(isOpen), any);
    if (known) this.#taken.add(known.index);
    return known;
  }

  async #deposit({ account: any, units }: StepOf<'deposit'>): Promise<Check> {
    const account = any % this.accounts.length;
    const credit = this.accounts[account]!;
    const id = `pay_${this.model.payments.length}`;
    const expected = this.model.deposit(account, units * 1_000);
    const posted = await this.#change((tx) => deposit(tx, { id, credit, units }));
    return () => expect(posted).toBe(expected);
  }

  async #reverse(step: StepOf<'reverse'>): Promise<Check> {
    const count = this.model.payments.length;
    if (!count) return nothing;
    const payment = step.payment % count;
    const expected = this.model.reverse(payment);
    const answer = await reversePayment(this.store.ledger, `pay_${payment}`);
    return () => expect(answer && { taken: answer.taken, lost: answer.lost }).toEqual(expected);
  }

  async #post(step: StepOf<'grant'> | StepOf<'refund'>): Promise<Check> {
    const account = step.account % this.accounts.length;
    const credit = this.accounts[account]!;
    const amount = nanoUsd(step.amount);
    const fails = step.do === 'grant' && step.fails;
    const expected = fails ? { fails } : { posted: this.model.post(account, amount) };
    const ref = this.#ref();
    const answer = await this.#change(async (tx) => {
      const [kind, debit] =
        step.do === 'grant'
          ? (['GRANT', SYSTEM.grants] as const)
          : (['REFUND', SYSTEM.revenue] as const);
      const posted = await tx.post({ kind, ref, debit, credit, amount });
      if (fails) throw new Error('changed my mind');
      return { posted };
    }).catch(() => ({ fails: true }));
    return () => expect(answer).toEqual(expected);
  }

  async #take({ account: any, amount: most }: StepOf<'take'>): Promise<Check> {
    const account = any % this.accounts.length;
    const debit = this.accounts[account]!;
    const expected = this.model.take(account, most);
    const ref = this.#ref();
    const taken = await this.#change((tx) => takeUnspent(tx, { ref, debit, most }));
    return () => expect(taken).toBe(expected);
  }

  async #setAside({ account: any, amount }: StepOf<'setAside'>): Promise<Check> {
    const account = any % this.accounts.length;
    const accountId = this.accounts[account]!;
    const index = this.model.setAside(account, amount);
    const answer = await answerOf(
      this.#change((tx) => setAside(tx, { accountId, amount: nanoUsd(amount), purpose: 'aside' })),
    );
    if ('granted' in answer && index !== null) this.asides.push({ index, real: answer.granted });
    return () => {
      if (index === null) return compareRefusal(answer, { code: 'insufficient_balance' });
      return expect(answer).toHaveProperty('granted');
    };
  }

  async #giveBack(step: StepOf<'giveBack'>): Promise<Check> {
    const known = pick(this.asides, step.hold);
    if (!known) return nothing;
    const expected = this.model.giveBack(known.index);
    const answer = await this.#change((tx) => giveBack(tx, known.real)).then(
      () => true,
      () => false,
    );
    return () => expect(answer).toBe(expected);
  }

  async #mint(step: StepOf<'mint'>): Promise<Check> {
    const account = step.account % this.accounts.length;
    const parent = step.parent === null ? null : this.#key(step.parent);
    const expected = this.model.mint(account, parent?.index ?? null);
    const answer = await answerOf(
      this.store.keys.create({
        type: 'INFERENCE',
        description: '',
        accountId: this.accounts[account]!,
        parentId: parent?.real ?? null,
      }),
    );
    if ('granted' in answer && typeof expected === 'number') {
      this.keys.push({ index: expected, real: answer.granted.id });
    }
    return () => {
      if (typeof expected !== 'number') return compareRefusal(answer, expected);
      return expect(answer).toHaveProperty('granted');
    };
  }

  async #nonce({ id }: StepOf<'nonce'>): Promise<Check> {
    const isFirst = !this.model.nonces.has(id);
    this.model.nonces.add(id);
    const answer = await this.store.ledger.useNonce(`n${id}`, Number.MAX_SAFE_INTEGER);
    return () => expect(answer).toBe(isFirst);
  }

  /** Changes of rows that have no answer. */
  async #set(
    step: StepOf<'freeze'> | StepOf<'limit'> | StepOf<'revoke'> | StepOf<'endKey'>,
  ): Promise<Check> {
    if (step.do === 'freeze') {
      const account = step.account % this.accounts.length;
      const id = this.accounts[account]!;
      this.model.accounts[account]!.isFrozen = step.isFrozen;
      const state = step.isFrozen ? 'frozen' : 'active';
      await this.#change((tx) =>
        tx.db.updateTable('accounts').set({ state }).where('id', '=', id).execute(),
      );
      return nothing;
    }
    const { index, real } = this.#key(step.key);
    const key = this.model.keys[index]!;
    const { nowMs } = this.model;
    if (step.do === 'revoke') {
      if (step.how === 'keys') {
        this.model.revoke(index);
        await this.store.keys.revoke(real, ALL_KEYS);
      } else {
        key.isRevoked = true;
        await this.#setKey(real, { state: 'revoked' });
      }
    } else if (step.do === 'limit') {
      Object.assign(key, { period: step.period, limit: step.limit });
      await this.#setKey(real, { limit_period: step.period, limit_nano: step.limit });
    } else {
      key.expiresAt = nowMs + step.inMs;
      await this.#setKey(real, { expires_at: key.expiresAt });
    }
    return nothing;
  }

  /** One of the newest: the older, the likelier it is that it ended. */
  #key(any: number): Known<string> {
    return pick(this.keys.slice(-NEWEST_KEYS), any)!;
  }

  #setKey(id: string, row: object): Promise<unknown> {
    return this.#change((tx) =>
      tx.db.updateTable('api_keys').set(row).where('id', '=', id).execute(),
    );
  }

  #change<T>(operation: (tx: WriteTx) => Promise<T>): Promise<T> {
    return this.store.ledger.write(operation);
  }

  #ref(): string {
    this.#refs += 1;
    return `ref-${this.#refs}`;
  }
}

const nothing: Check = () => {};

function pick<T>(from: readonly T[], any: number): T | undefined {
  return from[any % from.length];
}

type AnswerOf<T> = { granted: T } | { refused: unknown };

function answerOf<T>(work: Promise<T>): Promise<AnswerOf<T>> {
  return work.then(
    (granted) => ({ granted }),
    (refused: unknown) => ({ refused }),
  );
}

function compareRefusal(answer: AnswerOf<unknown>, expected: Refused | { balance: Balance }): void {
  expect(answer).toHaveProperty('refused');
  const { refused } = answer as { refused: unknown };
  expect(refused).toBeInstanceOf(AppError);
  expect(refused).toMatchObject(expected);
}

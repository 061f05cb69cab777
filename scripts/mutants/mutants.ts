/** Bugs of the kind that costs money, planted one at a time: each names the tests that must notice it. */
export interface Mutant {
  name: string;
  /** What is wrong then. */
  bug: string;
  file: string;
  /** Each text is there exactly once. */
  edits: [text: string, instead: string][];
  tests: string[];
}

const LEDGER = 'test/ledger/ledger.test.ts';
const MODEL = 'test/ledger/model.test.ts';
const GUARDS = 'test/ledger/guards.test.ts';
const CAPS = 'test/keys/caps.test.ts';
const CLOCK = 'test/clock.test.ts';

const BATCH = 'src/ledger/money-batch.ts';
const WINDOWS = 'src/ledger/key-windows.ts';
const STATEMENTS = 'src/ledger/statements.ts';
const WRITER = 'src/ledger/writer.ts';

export const MUTANTS: Mutant[] = [
  {
    name: 'no-account-guard',
    bug: 'the table lets an account hold and spend more than it has',
    file: 'src/db/migrations/0001-money.ts',
    edits: [
      ['      check (held <= posted + credit_line),\n', ''],
      ["check (kind <> 'wallet' or (posted >= 0 and credit_line = 0))", "check (kind <> '')"],
    ],
    tests: [GUARDS],
  },
  {
    name: 'no-window-guard',
    bug: 'the statement counts beyond a limit',
    file: STATEMENTS,
    edits: [['+ r.captured + r.held <= r.cap)', '+ r.captured + r.held <= r.cap or true)']],
    tests: [GUARDS],
  },
  {
    name: 'balance-not-asked',
    bug: 'a hold is taken for less than serves',
    file: BATCH,
    edits: [['if (left >= atLeast && left >= minimumAvailable) return null;', 'return null;']],
    tests: [LEDGER],
  },
  {
    name: 'limit-not-asked',
    bug: 'a limit lowers a hold instead of refusing it',
    file: WINDOWS,
    edits: [
      [
        'if (key.limit_nano === null || atLeast <= key.limit_nano - key.used) continue;',
        'if (key.limit_nano === null || key.used < key.limit_nano) continue;',
      ],
    ],
    tests: [MODEL],
  },
  {
    name: 'capture-twice',
    bug: 'a hold is resolved again',
    file: STATEMENTS,
    edits: [["where holds.id = r.id and holds.state = 'open'", 'where holds.id = r.id']],
    tests: [LEDGER],
  },
  {
    name: 'charge-above-hold',
    bug: 'a cost above its hold is charged in full',
    file: BATCH,
    edits: [['nanoUsd(Math.min(op.cost, hold.amount))', 'nanoUsd(op.cost)']],
    tests: [LEDGER],
  },
  {
    name: 'wrong-day',
    bug: 'a capture after midnight is counted in the new day',
    file: WINDOWS,
    edits: [["'EPOCH', hold.day, now.day,", "'EPOCH', now.day, now.day,"]],
    tests: [CAPS],
  },
  {
    name: 'wrong-month',
    bug: 'a capture after the end of a month is counted in the new one',
    file: WINDOWS,
    edits: [["'MONTH', hold.month, now.month,", "'MONTH', now.month, now.month,"]],
    tests: [CAPS],
  },
  {
    name: 'months-of-local-time',
    bug: 'months end at midnight in Baker Island',
    file: 'src/clock.ts',
    edits: [
      [
        'new Date(ms).toISOString().slice(0, 7)',
        'new Date(ms - 43_200_000).toISOString().slice(0, 7)',
      ],
    ],
    tests: [CLOCK],
  },
  {
    name: 'split-transaction',
    bug: 'half of a batch is committed and answered before the other half fails',
    file: WRITER,
    edits: [
      [
        '      await this.#commit(batch);\n    } catch (error) {\n      const fault',
        '      const half = batch.length >> 1;\n      if (half) await this.#commit(batch.slice(0, half));\n      await this.#commit(batch.slice(half));\n    } catch (error) {\n      const fault',
      ],
    ],
    tests: [GUARDS, MODEL],
  },
  {
    name: 'half-a-write',
    bug: 'a write that fails keeps what it did until then',
    file: WRITER,
    edits: [
      [
        "await savepoint.rollbackToSavepoint('operation').execute();",
        "await savepoint.releaseSavepoint('operation').execute();",
      ],
    ],
    tests: [LEDGER],
  },
  {
    name: 'answer-before-commit',
    bug: 'callers are told what is not on disk yet',
    file: WRITER,
    edits: [
      [
        '      await tx.commit().execute();\n',
        '      for (const answer of draft.answers) answer();\n      await tx.commit().execute();\n',
      ],
    ],
    tests: [GUARDS],
  },
  {
    name: 'stale-limit',
    bug: 'limits are kept from one batch to the next',
    file: WINDOWS,
    edits: [
      [
        '  const key = keys.get(id);\n',
        '  const key = keys.get(id);\n  if (key && !kept.has(id)) kept.set(id, key.limit_nano);\n  if (key) key.limit_nano = kept.get(id)!;\n',
      ],
      [
        'function keyOf(',
        "const kept = new Map<string, KeyState['limit_nano']>();\n\nfunction keyOf(",
      ],
    ],
    tests: [MODEL],
  },
  {
    name: 'ancestors-not-counted',
    bug: 'what a key spends does not count against the keys that it comes from',
    file: WINDOWS,
    edits: [
      [
        'for (const id of ancestors) found.push(keyOf(id, keys));',
        'for (const id of ancestors.slice(0, 0)) found.push(keyOf(id, keys));',
      ],
    ],
    tests: [MODEL],
  },
  {
    name: 'void-to-nobody',
    bug: 'a void gives nothing back',
    file: BATCH,
    edits: [
      [
        'move(plan, hold.accountId, -charged, -hold.amount);',
        "move(plan, hold.accountId, -charged, op.state === 'voided' ? 0 : -hold.amount);",
      ],
    ],
    tests: [LEDGER],
  },
  {
    name: 'revoked-parent-serves',
    bug: 'a key outlives the key that it comes from',
    file: WINDOWS,
    edits: [
      [
        "if (key.state !== 'active' || (key.expires_at !== null && key.expires_at <= nowMs)) {",
        "if (key.id === request.keyId && (key.state !== 'active' || (key.expires_at !== null && key.expires_at <= nowMs))) {",
      ],
    ],
    tests: [MODEL],
  },
  {
    name: 'revoke-one-only',
    bug: 'revoking a key leaves those that come from it active',
    file: 'src/keys/keys.ts',
    edits: [['const below = await descendantsOf(tx.db, id);', 'const below: string[] = [];']],
    tests: [MODEL],
  },
  {
    name: 'time-goes-back',
    bug: "the ledger's time goes back with the clock",
    file: WRITER,
    edits: [['Math.max(this.#lastAt, this.#options.clock.nowMs())', 'this.#options.clock.nowMs()']],
    tests: [LEDGER, MODEL],
  },
];

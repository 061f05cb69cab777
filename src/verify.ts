/**
 * Checks what must always hold (docs/money.md) on one snapshot of a database that may be in use, and names each row that breaks
 * a rule. Reads only.
 */
import { join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { checkFile, openDatabase } from './db/open.ts';
import type { Tables } from './db/tables.ts';
import type { EntryTuple } from './ledger/operations.ts';
import { GENESIS, type Head, readHead, sealHash } from './ledger/seal.ts';
import { DATABASE_FILE, HEAD_FILE } from './ledger/store.ts';
import {
  accountFaults,
  type Fault,
  holdFaults,
  paymentFaults,
  windowFaults,
} from './verify-rules.ts';
import { idempotencyFaults } from './verify-idempotency.ts';
import { clearingFaults, payoutFaults } from './verify-payouts.ts';
import { MEDIA_DIRECTORY } from './media/disk.ts';
import { fileFaults, resultFaults } from './verify-media.ts';
import { taskFaults } from './verify-tasks.ts';
import { usageFaults } from './verify-usage.ts';

export interface Verification {
  ok: boolean;
  faults: Fault[];
  entries: number;
  seals: number;
  accounts: number;
  openHolds: number;
  /** What wallets and house accounts own, in nano-USD. */
  liabilities: number;
  head: Head;
}

const RULES = [
  accountFaults,
  holdFaults,
  paymentFaults,
  idempotencyFaults,
  payoutFaults,
  clearingFaults,
  windowFaults,
  taskFaults,
  resultFaults,
  usageFaults,
];
const PAGE = 5_000;
export const MAX_FAULTS = 100;

/** `hasFiles`: false for a copy of the books alone, such as a backup: results of tasks then lie somewhere else. */
export async function verifyStore(options: {
  dataDir: string;
  nowMs: number;
  hasFiles?: boolean;
}): Promise<Verification> {
  // The head file first: it may then only be behind the snapshot, never ahead of it.
  const kept = await readHead(join(options.dataDir, HEAD_FILE));
  const database = openDatabase(join(options.dataDir, DATABASE_FILE), 'read');
  try {
    const { dataDir, hasFiles = true } = options;
    const files = hasFiles ? await fileFaults(database.db, join(dataDir, MEDIA_DIRECTORY)) : [];
    return await database.db.transaction().execute(async (db) => {
      const faults: Fault[] = (await checkFile({ ...database, db })).map((message) => ({
        invariant: 7,
        row: 'database file',
        message,
      }));
      const chain = await checkSeals(db, kept, faults);
      for (const rule of RULES) {
        faults.push(...(await rule(db, options.nowMs)));
      }
      faults.push(...files);
      const counts = await totals(db);
      return { ok: faults.length === 0, faults: faults.slice(0, MAX_FAULTS), ...chain, ...counts };
    });
  } finally {
    await database.close();
  }
}

async function totals(db: Kysely<Tables>) {
  const accounts = await db
    .selectFrom('accounts')
    .select((eb) => [
      eb.fn.countAll<number>().as('accounts'),
      eb.fn.coalesce(eb.fn.sum<number>('posted'), sql<number>`0`).as('liabilities'),
    ])
    .executeTakeFirstOrThrow();
  const holds = await db
    .selectFrom('holds')
    .select((eb) => eb.fn.countAll<number>().as('openHolds'))
    .where('state', '=', 'open')
    .executeTakeFirstOrThrow();
  return { ...accounts, ...holds };
}

/** Invariant 7: seals chain without gaps over all entries, and the head file is not ahead of the database. */
async function checkSeals(
  db: Kysely<Tables>,
  kept: Head | null,
  faults: Fault[],
): Promise<{ entries: number; seals: number; head: Head }> {
  const fault = (row: string, message: string) => faults.push({ invariant: 7, row, message });
  let head: Head = GENESIS;
  let entries = 0;
  const reader = entryReader(db);
  for (;;) {
    const page = await db
      .selectFrom('seals')
      .selectAll()
      .where('seq', '>', head.seq)
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    if (!page.length) break;
    for (const seal of page) {
      const row = `seals ${seal.seq}`;
      if (seal.seq !== head.seq + 1) fault(row, `follows seal ${head.seq}: a seal is missing`);
      if (seal.previous !== head.hash) fault(row, 'does not chain to the seal before it');
      if (seal.first_entry !== entries + 1)
        fault(row, `begins at entry ${seal.first_entry}, not ${entries + 1}`);
      const sealed = await reader(seal.last_entry);
      if (sealHash(seal.previous, sealed) !== seal.hash) {
        fault(row, `does not match its entries ${seal.first_entry} to ${seal.last_entry}`);
      }
      if (kept && kept.seq === seal.seq && kept.hash !== seal.hash) {
        fault(row, 'differs from the head file');
      }
      entries = seal.last_entry;
      head = { seq: seal.seq, hash: seal.hash };
    }
  }
  for (const entry of await reader(Number.MAX_SAFE_INTEGER)) {
    fault(`entries ${entry[0]}`, 'is in no seal');
  }
  if (kept && kept.seq > head.seq) {
    fault(
      'head file',
      `knows seal ${kept.seq}, the database ends at ${head.seq}: it was rolled back`,
    );
  }
  return { entries, seals: head.seq, head };
}

/** Reads entries in order, in pages; each call answers those up to and including `last`. */
function entryReader(db: Kysely<Tables>): (last: number) => Promise<EntryTuple[]> {
  let page: EntryTuple[] = [];
  let at = 0;
  let seq = 0;
  return async (last) => {
    const out: EntryTuple[] = [];
    for (;;) {
      if (at === page.length) {
        page = await entriesAfter(db, seq);
        at = 0;
        if (!page.length) return out;
      }
      const entry = page[at]!;
      if (entry[0] > last) return out;
      out.push(entry);
      [seq] = entry;
      at += 1;
      if (seq === last) return out;
    }
  };
}

async function entriesAfter(db: Kysely<Tables>, seq: number): Promise<EntryTuple[]> {
  const rows = await db
    .selectFrom('entries')
    .selectAll()
    .where('seq', '>', seq)
    .orderBy('seq')
    .limit(PAGE)
    .execute();
  return rows.map((row) => [
    row.seq,
    row.at,
    row.kind,
    row.ref,
    row.debit_account,
    row.credit_account,
    row.amount,
    row.balance_after,
    row.request_id,
    row.model,
  ]);
}

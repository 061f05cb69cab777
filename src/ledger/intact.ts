/** Whether the ledger is as its last writer left it, looked at before anything is served. `verify` looks at all of it. */
import type { Database } from '../db/open.ts';
import { accountFaults } from '../verify-rules.ts';
import { ENTRY_COLUMNS, type EntryTuple } from './operations.ts';
import { type Head, readHead, sealHash } from './seal.ts';

/** `file`: the head file; `head`: the newest seal of the database. Throws, saying how the two came apart or what was changed. */
export async function requireIntact(database: Database, file: string, head: Head): Promise<void> {
  await checkHead(database, file, head);
  await checkTail(database);
  await checkBalances(database);
}

/** The head file is written after commits, so a database that is behind it, or differs at it, lost or changed history. */
async function checkHead({ db }: Database, file: string, head: Head): Promise<void> {
  const kept = await readHead(file);
  if (kept === null || kept.seq === 0) return;
  const row = await db
    .selectFrom('seals')
    .select('hash')
    .where('seq', '=', kept.seq)
    .executeTakeFirst();
  if (row?.hash === kept.hash) return;
  throw new Error(
    row
      ? `The ledger was changed: seal ${kept.seq} differs from ${file}. Restore a backup.`
      : `The ledger was rolled back: ${file} knows seal ${kept.seq}, the database ends at ${head.seq}. Restore the newest database, or remove ${file} to accept the loss.`,
  );
}

/** The newest seals are worked out again at every start; `verify` does so for all of them. */
const CHECKED_SEALS = 200;

async function checkTail({ db }: Database): Promise<void> {
  const seals = await db
    .selectFrom('seals')
    .selectAll()
    .orderBy('seq', 'desc')
    .limit(CHECKED_SEALS)
    .execute();
  const [newest, oldest] = [seals[0], seals.at(-1)];
  const sealed = newest?.last_entry ?? 0;
  const loose = await db
    .selectFrom('entries')
    .select('seq')
    .where('seq', '>', sealed)
    .limit(1)
    .executeTakeFirst();
  if (loose) throw changedLedger(`entry ${loose.seq} was never sealed`);
  if (!newest || !oldest) return;
  const entries = await db
    .selectFrom('entries')
    .select([...ENTRY_COLUMNS])
    .where('seq', '>=', oldest.first_entry)
    .orderBy('seq')
    .execute();
  const rows = entries.map((entry) => ENTRY_COLUMNS.map((column) => entry[column]) as EntryTuple);
  for (const { seq, first_entry: first, last_entry: last, previous, hash } of seals) {
    const own = rows.filter(([entrySeq]) => entrySeq >= first && entrySeq <= last);
    const isWhole = own.length === last - first + 1;
    if (!isWhole || sealHash(previous, own) !== hash)
      throw changedLedger(`seal ${seq} does not fit its entries`);
  }
}

/** Summing all entries takes too long for a start once there are many; `verify` does it always. */
const SUMMED_ENTRIES = 100_000;

async function checkBalances({ db }: Database): Promise<void> {
  const last = await db
    .selectFrom('entries')
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  if ((last?.seq ?? 0) > SUMMED_ENTRIES) return;
  const [fault] = await accountFaults(db);
  if (fault) throw changedLedger(`${fault.row} ${fault.message}`);
}

function changedLedger(how: string): Error {
  return new Error(`The ledger was changed: ${how}. Run "farebox verify", and restore a backup.`);
}

/**
 * The ledger alone: CALLERS callers, each doing reserve and capture in a loop on accounts of its own. Prints one line of JSON.
 * Usage: node ledger.ts SECONDS PAIRS (whichever ends first; 0 is no limit).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { openStore, type Store } from '../../src/ledger/store.ts';
import { silentLog } from '../../src/log.ts';
import { parseUsd } from '../../src/money.ts';

export interface LedgerFigures {
  pairs: number;
  pairsPerSecond: number;
  cpuUsPerPair: number;
  batches: number;
}

const CALLERS = 64;
const WARM_UP_PAIRS = 2_000;
const HOLD = parseUsd('0.002');
const COST = parseUsd('0.000275');
const USAGE = '{"prompt_tokens":700,"completion_tokens":50}';

async function fundedAccounts(store: Store): Promise<string[]> {
  const accounts: string[] = [];
  for (let n = 0; n < CALLERS; n += 1) {
    const address = `0x${n.toString(16).padStart(40, '0')}`;
    const account = await store.ledger.write(async (tx) => {
      const id = await tx.walletAccount({ family: 'eip155', address, chain: '' });
      const ref = newId('grant');
      const amount = parseUsd('10000');
      await tx.post({ kind: 'GRANT', ref, debit: SYSTEM.grants, credit: id, amount });
      return id;
    });
    accounts.push(account);
  }
  return accounts;
}

async function pair(store: Store, accountId: string): Promise<void> {
  const hold = await store.ledger.reserve({
    accountId,
    keyId: null,
    amount: HOLD,
    purpose: 'chat',
    model: 'bench',
    requestId: newId('req'),
    priceVersion: 'v1',
    ttlMs: 600_000,
  });
  await store.ledger.capture(hold, COST, USAGE);
}

/** Runs all callers until `pairs` are done or the time is over; answers how many were done. */
async function callers(store: Store, accounts: string[], pairs: number, endsAt: number) {
  let begun = 0;
  await Promise.all(
    accounts.map(async (account) => {
      while (begun < pairs && performance.now() < endsAt) {
        begun += 1;
        await pair(store, account);
      }
    }),
  );
  return begun;
}

const seconds = Number(process.argv[2] ?? 3);
const pairs = Number(process.argv[3] ?? 0) || Number.MAX_SAFE_INTEGER;
const dataDir = await mkdtemp(join(tmpdir(), 'farebox-ledger-'));
const store = await openStore({
  dataDir,
  mode: 'live',
  clock: systemClock,
  log: silentLog,
  onFatal: (error) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  },
});
const accounts = await fundedAccounts(store);
await callers(store, accounts, WARM_UP_PAIRS, Number.POSITIVE_INFINITY);
process.stderr.write('begin\n');
const batchesBefore = store.ledger.counters.batches;
const cpu = process.cpuUsage();
const startedAt = performance.now();
const limit = seconds > 0 ? startedAt + seconds * 1_000 : Number.POSITIVE_INFINITY;
const done = await callers(store, accounts, pairs, limit);
const elapsed = (performance.now() - startedAt) / 1_000;
const used = process.cpuUsage(cpu);
const figures: LedgerFigures = {
  pairs: done,
  pairsPerSecond: done / elapsed,
  cpuUsPerPair: (used.user + used.system) / done,
  batches: store.ledger.counters.batches - batchesBefore,
};
await store.close();
await rm(dataDir, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(figures)}\n`);

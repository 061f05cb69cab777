/** Runs the ledger alone in a process of its own, and again under strace to count what it asks of the disk. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isPinned, SERVER_CPU } from './process.ts';
import type { LedgerFigures } from './ledger.ts';

const PROGRAM = fileURLToPath(new URL('ledger.ts', import.meta.url));
const FEW_PAIRS = 64;
const MANY_PAIRS = 6_064;

export interface LedgerReport extends LedgerFigures {
  syncsPerPair: number;
  /** Where the number comes from. */
  syncSource: 'strace' | 'batches';
}

export function measureLedger(seconds: number): LedgerReport {
  const figures = runProgram([], [String(seconds), '0']);
  if (spawnSync('strace', ['-V']).status !== 0) {
    return { ...figures, syncsPerPair: figures.batches / figures.pairs, syncSource: 'batches' };
  }
  // Two runs differ by a known number of pairs only, so opening and closing the store cancel out.
  const syncs = tracedSyncs(MANY_PAIRS) - tracedSyncs(FEW_PAIRS);
  return { ...figures, syncsPerPair: syncs / (MANY_PAIRS - FEW_PAIRS), syncSource: 'strace' };
}

function runProgram(before: string[], args: string[]): LedgerFigures & { trace: string } {
  const pin = isPinned ? ['taskset', '-c', String(SERVER_CPU)] : [];
  const [command = process.execPath, ...rest] = [
    ...pin,
    ...before,
    process.execPath,
    PROGRAM,
    ...args,
  ];
  const run = spawnSync(command, rest, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`the ledger's bench failed:\n${run.stderr}`);
  return { ...(JSON.parse(run.stdout) as LedgerFigures), trace: run.stderr };
}

function tracedSyncs(pairs: number): number {
  const strace = ['strace', '-f', '-c', '-e', 'trace=fsync,fdatasync'];
  const { trace } = runProgram(strace, ['0', String(pairs)]);
  let calls = 0;
  for (const line of trace.split('\n')) {
    const row = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*\b(?:fsync|fdatasync)$/.exec(line);
    if (row) calls += Number(row[1]);
  }
  return calls;
}

/** `verify`: checks what must always hold, on the database of a running or a stopped server. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { DATABASE_FILE } from '../ledger/store.ts';
import { formatUsd, nanoUsd } from '../money.ts';
import { verifyStore } from '../verify.ts';
import type { Command } from './command.ts';

export const VERIFY_HELP = `farebox verify [--json]
Checks every invariant of money on the database in DATA_DIR, which may be in use, and names each row that breaks one.
Exit code 0 when all hold, 1 otherwise.`;

/** Answers whether all holds. */
export async function verify(command: Command): Promise<boolean> {
  const { values } = parseArgs({
    args: command.arguments,
    options: { json: { type: 'boolean', default: false } },
  });
  const { dataDir } = loadConfig(command.environment, { cwd: command.cwd });
  await requireLedger(dataDir);
  const result = await verifyStore({ dataDir, nowMs: systemClock.nowMs() });
  if (values.json) {
    command.print(JSON.stringify(result));
    return result.ok;
  }
  for (const { invariant, row, message } of result.faults) {
    command.print(`FAULT (invariant ${invariant}) ${row}: ${message}`);
  }
  const { entries, seals, accounts, openHolds, liabilities } = result;
  command.print(
    `${result.ok ? 'All invariants hold' : `${result.faults.length} faults`}: ${entries} entries in ${seals} seals, ` +
      `${accounts} accounts that own $${formatUsd(nanoUsd(liabilities))}, ${openHolds} open holds.`,
  );
  return result.ok;
}

async function requireLedger(dataDir: string): Promise<void> {
  try {
    await access(join(dataDir, DATABASE_FILE));
  } catch (error) {
    throw new Error(`${dataDir} holds no ledger yet: start the server once, or set DATA_DIR.`, {
      cause: error,
    });
  }
}

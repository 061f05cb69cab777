/** The machine and the data directory: room, rights, the clock, the books. */
import { access, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase } from '../db/open.ts';
import { DATABASE_FILE } from '../ledger/store.ts';
import { openByNetwork, openInWords } from '../payments/networks.ts';
import { verifyStore } from '../verify.ts';
import { bad, type Finding, good, warn } from './finding.ts';

const MIB = 1024 * 1024;
const LEAST_MIB = 64;
const COMFORTABLE_MIB = 1_024;
/** A sign-in lives five minutes, an EIP-3009 authorization as long. */
const CLOCK_WARN_MS = 5_000;
const CLOCK_BAD_MS = 60_000;
const SECRET_FILES = ['master.key', 'farebox.yaml'];

export async function checkDisk(dataDir: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(dataDir);
  const free = Math.floor((bavail * bsize) / MIB);
  const message = `${free} MiB are free in ${dataDir}`;
  if (free < LEAST_MIB) return bad('disk', message, 'make room: without it no request is taken');
  if (free < COMFORTABLE_MIB) return warn('disk', message, 'make room before it runs out');
  return good('disk', message);
}

/** What others on this machine could read. */
export async function checkRights(dataDir: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of ['.', DATABASE_FILE, ...SECRET_FILES]) {
    const path = name === '.' ? dataDir : join(dataDir, name);
    const found = await stat(path).catch(() => null);
    if (!found || (found.mode & 0o077) === 0) continue;
    const isInside = name !== '.' && findings.every(({ message }) => !message.startsWith(dataDir));
    // Inside a directory that is closed nobody gets to them.
    if (isInside && !SECRET_FILES.includes(name)) continue;
    const mode = (found.mode & 0o777).toString(8);
    findings.push(
      warn(
        'rights',
        `${path} is open to others (${mode})`,
        `chmod ${found.isDirectory() ? '700' : '600'} ${path}`,
      ),
    );
  }
  return findings.length ? findings : [good('rights', `${dataDir} is closed to others`)];
}

export async function checkBooks(dataDir: string, nowMs: number): Promise<Finding> {
  if (!(await isThere(join(dataDir, DATABASE_FILE))))
    return good('books', 'no ledger yet: the first start makes it');
  const { ok, faults, entries, seals } = await verifyStore({ dataDir, nowMs });
  if (ok) return good('books', `${entries} entries in ${seals} seals, every rule holds`);
  const [first] = faults;
  return bad(
    'books',
    `${faults.length} faults, the first: ${first?.row} ${first?.message}`,
    'run "farebox verify", and restore a backup',
  );
}

/** What was begun on networks that are not among these any more. */
export async function checkOpen(dataDir: string, networks: readonly string[]): Promise<Finding[]> {
  const path = join(dataDir, DATABASE_FILE);
  if (!(await isThere(path))) return [];
  const database = openDatabase(path, 'read');
  try {
    const open = (await openByNetwork(database.db)).filter(
      ({ network }) => !networks.includes(network),
    );
    return open.map((one) =>
      warn(
        `payments on ${one.network}`,
        `it is not set up any more, with ${openInWords(one)} open there`,
        'leave the server running until they have ended, or set the network up again',
      ),
    );
  } finally {
    await database.close();
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** `serverMs`: what other machines say the time is. */
export function checkClock(nowMs: number, serverMs: readonly number[]): Finding {
  if (!serverMs.length) return good('clock', 'nobody to compare it with');
  const offsets = serverMs.map((ms) => nowMs - ms).toSorted((a, b) => a - b);
  const offset = offsets[Math.floor(offsets.length / 2)]!;
  const message = `${Math.round(Math.abs(offset) / 1_000)} s ${offset < 0 ? 'behind' : 'ahead of'} other machines`;
  if (Math.abs(offset) > CLOCK_BAD_MS)
    return bad('clock', message, 'run a time service (timedatectl set-ntp true)');
  if (Math.abs(offset) > CLOCK_WARN_MS)
    return warn('clock', message, 'run a time service (timedatectl set-ntp true)');
  return good('clock', 'agrees with other machines');
}

/** `backup FILE` and `restore FILE`. */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBackup, PASSPHRASE } from '../backup/backup.ts';
import { restoreBackup } from '../backup/restore.ts';
import { systemClock } from '../clock.ts';
import { SHORTEST_PASSPHRASE } from '../config/backups.ts';
import { loadConfig } from '../config/load.ts';
import { DATABASE_FILE } from '../ledger/store.ts';
import { MEDIA_DIRECTORY } from '../media/disk.ts';
import { type Command, UsageError } from './command.ts';

export const BACKUP_HELP = `farebox backup FILE [--json]
Writes a consistent copy of the ledger in DATA_DIR to FILE, while a server runs on it or not: a gzipped tar.
With FAREBOX_BACKUP_PASSPHRASE the file is encrypted (age) and holds master.key and farebox.yaml too. Without it, keep
master.key (or FAREBOX_MASTER_KEY) somewhere else: a backup without it restores every balance, but no API key works any more.`;

export const RESTORE_HELP = `farebox restore FILE [--accept-rollback] [--json]
Puts a backup in the place of the ledger in DATA_DIR, on which no server may run. What is there is set aside, not deleted.
FILE may also be a bare copy of farebox.db, such as Litestream restores.
A backup that is older than the directory's ledger is refused without --accept-rollback. Payments made since the backup
are read from the chain at the next start, and credited once. Results of tasks are in no backup: copy DATA_DIR/media too.`;

export async function backup(command: Command): Promise<true> {
  const { file, values } = read(command, BACKUP_HELP);
  const { dataDir } = loadConfig(command.environment, { cwd: command.cwd });
  await access(join(dataDir, DATABASE_FILE)).catch((error: unknown) => {
    throw new Error(`${dataDir} holds no ledger yet: there is nothing to back up.`, {
      cause: error,
    });
  });
  const passphrase = passphraseOf(command);
  const nowMs = systemClock.nowMs();
  const made = await makeBackup({ dataDir, target: file, passphrase, nowMs });
  command.print(
    values.json
      ? JSON.stringify(made)
      : `${made.file}: ${made.bytes} bytes, up to seal ${made.head.seq}${made.isEncrypted ? ', encrypted' : ', without the master key'}.`,
  );
  return true;
}

export async function restore(command: Command): Promise<true> {
  const { file, values } = read(command, RESTORE_HELP);
  const { dataDir, secrets, payments } = loadConfig(command.environment, { cwd: command.cwd });
  const restored = await restoreBackup({
    file,
    dataDir,
    passphrase: passphraseOf(command),
    acceptRollback: values['accept-rollback'],
    masterKey: secrets.masterKey,
    // Play money stands in the directory itself.
    networks: payments.networks
      .filter(({ facilitator }) => facilitator.kind !== 'sandbox')
      .map(({ network }) => network),
    pid: command.pid,
    nowMs: systemClock.nowMs(),
  });
  if (values.json) command.print(JSON.stringify(restored));
  else for (const line of describe(restored, dataDir)) command.print(line);
  return true;
}

function describe(
  { manifest, setAside, reread, hasMasterKey, results }: Awaited<ReturnType<typeof restoreBackup>>,
  dataDir: string,
): string[] {
  const lines = [`${dataDir} is as it was at ${manifest.madeAt}, up to seal ${manifest.head.seq}.`];
  if (setAside !== null) lines.push(`What was there before is in ${setAside}.`);
  if (reread) {
    const { since, networks } = reread;
    lines.push(`The next start reads payments since ${since} from ${networks.join(', ')}.`);
  }
  if (results > 0) {
    const where = join(dataDir, MEDIA_DIRECTORY);
    lines.push(`${results} results of tasks are no part of a backup: copy the old ${where} here.`);
  }
  if (!hasMasterKey) {
    lines.push(
      'LOST: no master key opens this backup. Put its master.key into DATA_DIR, or set FAREBOX_MASTER_KEY. If it is gone for good, ' +
        '"keys reset-master --yes" gives up every API key and stored provider key; balances and wallets are whole.',
    );
  }
  return lines;
}

function read(command: Command, help: string) {
  const { values, positionals } = parseArgs({
    args: command.arguments,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      'accept-rollback': { type: 'boolean', default: false },
    },
  });
  const [name, ...others] = positionals;
  if (name === undefined || others.length) throw new UsageError(`Name one file.\n${help}`);
  return { file: resolve(command.cwd, name), values };
}

function passphraseOf({ environment }: Command): string | null {
  const text = environment[PASSPHRASE] ?? '';
  if (text === '') return null;
  if (text.length >= SHORTEST_PASSPHRASE) return text;
  throw new UsageError(`${PASSPHRASE}: must have at least ${SHORTEST_PASSPHRASE} characters.`);
}

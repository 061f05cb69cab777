/** `backups`: those that the server makes by itself. */
import { isAbsolute, resolve } from 'node:path';
import type { BackupsConfig } from './config.ts';
import { secretProblem } from './environment.ts';
import type { Faults } from './fault.ts';
import { readS3 } from './media.ts';
import type { RawFile } from './raw.ts';

const HOUR_MS = 3_600_000;
export const SHORTEST_PASSPHRASE = 12;

export function readBackups(
  { backups: raw }: RawFile,
  dataDir: string,
  faults: Faults,
): BackupsConfig {
  const { directory, passphrase } = raw;
  if (directory !== null && !isAbsolute(directory)) {
    faults.add(['backups', 'directory'], 'must be a path from the root: /backups');
  }
  const problem =
    passphrase === null
      ? null
      : (secretProblem(passphrase) ??
        (passphrase.length < SHORTEST_PASSPHRASE
          ? `must have at least ${SHORTEST_PASSPHRASE} characters`
          : null));
  if (problem !== null) faults.add(['backups', 'passphrase'], problem);
  return {
    everyMs: raw.every_hours * HOUR_MS,
    keep: raw.keep,
    directory: directory ?? resolve(dataDir, 'backups'),
    passphrase,
    s3: raw.s3 === undefined ? null : readS3(raw.s3, ['backups', 's3'], faults),
  };
}

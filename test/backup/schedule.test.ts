import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeBackup } from '../../src/backup/backup.ts';
import { BackupSchedule, type RunSelf } from '../../src/backup/schedule.ts';
import type { BackupsConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { silentLog } from '../../src/log.ts';
import { S3Blobs } from '../../src/media/s3.ts';
import { run } from '../support/cli.ts';
import { startBucket } from '../support/media.ts';
import { manualClock, testStore, type TestStore } from '../support/store.ts';

const HOUR = 3_600_000;

describe('backups that a server makes by itself', () => {
  let store: TestStore;
  let directory: string;
  const clock = manualClock();
  beforeEach(async () => {
    store = await testStore();
    await store.wallet('5');
    directory = await mkdtemp(join(tmpdir(), 'farebox-scheduled-'));
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  /** As the program does it, in this process. */
  const inProcess: RunSelf = async ([, target = ''], environment) => {
    const passphrase = environment['FAREBOX_BACKUP_PASSPHRASE'] ?? null;
    await makeBackup({ dataDir: store.dataDir, target, passphrase, nowMs: clock.nowMs() });
    return { code: 0, out: '', complaint: '' };
  };
  const schedule = (more: Partial<BackupsConfig> = {}, runSelf = inProcess) =>
    new BackupSchedule({
      config: { everyMs: 6 * HOUR, keep: 3, directory, passphrase: null, s3: null, ...more },
      runSelf,
      clock,
      log: silentLog,
    });

  it('come when they are due, also after a restart, and the newest are kept', async () => {
    for (let hour = 0; hour < 30; hour++) {
      await schedule().look();
      clock.ms += HOUR;
    }
    const names = await readdir(directory);
    const restarted = schedule();
    await restarted.look();
    const { size } = await stat(join(directory, (await readdir(directory)).toSorted().at(-1)!));
    const known = { everyMs: 6 * HOUR, lastBytes: size, failures: 0, problem: null };
    expect(restarted.status()).toEqual({ ...known, lastAtMs: clock.ms });
    expect(names).toHaveLength(3);
    expect(names.every((name) => name.endsWith('.tgz'))).toBe(true);
  });

  it('leave other files alone', async () => {
    const target = join(directory, 'mine.tgz');
    await makeBackup({ dataDir: store.dataDir, target, passphrase: null, nowMs: 0 });
    for (let round = 0; round < 6; round++) {
      await schedule({ keep: 1 }).look();
      clock.ms += 6 * HOUR;
    }
    expect((await readdir(directory)).toSorted()[1]).toBe('mine.tgz');
  });

  it('are made by the program itself, and tried again when one fails', async () => {
    let calls = 0;
    const byProgram: RunSelf = async (args, environment) => {
      calls++;
      // The first finds no ledger.
      const dataDir = calls === 1 ? join(directory, 'nothing') : store.dataDir;
      const done = await run({ DATA_DIR: dataDir, SANDBOX: '1', ...environment }, ...args);
      return { code: done.code, out: done.out, complaint: done.err };
    };
    const backups = schedule({ passphrase: 'a long enough passphrase' }, byProgram);
    await backups.look();
    expect(backups.problem).toContain('holds no ledger');
    expect(backups.status()).toMatchObject({ failures: 1, lastAtMs: null });
    await backups.look();
    expect(calls).toBe(1);
    clock.ms += HOUR;
    await backups.look();
    expect([calls, backups.problem]).toEqual([2, null]);
    expect(backups.status()).toMatchObject({ failures: 1, lastAtMs: clock.ms });
    expect((await readdir(directory)).filter((name) => name.endsWith('.tgz.age'))).toHaveLength(1);
  });

  it('go to a bucket too, where as many are kept', async () => {
    await using bucket = await startBucket();
    const backups = schedule({ s3: bucket.config, keep: 2 });
    for (let round = 0; round < 4; round++) {
      await backups.look();
      clock.ms += 6 * HOUR;
    }
    expect(backups.problem).toBeNull();
    const reader = new S3Blobs(bucket.config, 'backups');
    expect((await reader.list(null)).blobs).toHaveLength(2);
    await reader.close();
  });

  it('are off unless they are asked for', () => {
    const environment = { SANDBOX: '1', DATA_DIR: directory };
    expect(loadConfig(environment, { cwd: directory }).backups).toEqual({
      everyMs: 0,
      keep: 14,
      directory: join(directory, 'backups'),
      passphrase: null,
      s3: null,
    });
  });
});

/**
 * Backups that the server makes by itself: each by the program's own `backup` command in a process of its own, so that nobody's request
 * waits; the newest are kept. When one is due is told by the files, so that a restart neither forgets nor repeats one.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { BackupsConfig, S3Config } from '../config/config.ts';
import type { Log } from '../log.ts';
import { S3Blobs } from '../media/s3.ts';
import type { BackupStatus } from '../operator/upkeep.ts';
import { PASSPHRASE } from './backup.ts';

/** Runs a command of this program to its end, with these variables besides its own; answers its exit code and what it said. */
export type RunSelf = (
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
) => Promise<{ code: number | null; out: string; complaint: string }>;

export interface BackupScheduleOptions {
  config: BackupsConfig;
  runSelf: RunSelf;
  clock: Clock;
  log: Log;
}

const LOOK_MS = 60_000;
/** After one that failed. */
const RETRY_MS = 15 * 60_000;
const NAME = /^farebox-(\d{4}-\d\d-\d\dT\d{6})Z\.tgz(\.age)?$/;
const MAX_COMPLAINT = 500;
const MAX_PAGES = 100;

export class BackupSchedule {
  #options: BackupScheduleOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #notBeforeMs = 0;
  #lastError: string | null = null;
  #failures = 0;
  /** The newest, as it was found or made last. */
  #last: { atMs: number; bytes: number | null } | null = null;

  constructor(options: BackupScheduleOptions) {
    this.#options = options;
  }

  /** What went wrong with the last one; null where none did. */
  get problem(): string | null {
    return this.#lastError;
  }

  status(): BackupStatus {
    const { everyMs } = this.#options.config;
    const { atMs = null, bytes = null } = this.#last ?? {};
    const [failures, problem] = [this.#failures, this.#lastError];
    return { everyMs, lastAtMs: atMs, lastBytes: bytes, failures, problem };
  }

  start(): void {
    if (this.#options.config.everyMs === 0) return;
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
    void this.look();
  }

  /** Other settings from now on; a backup that is under way ends as it began. */
  replace(config: BackupsConfig): void {
    if (isDeepStrictEqual(config, this.#options.config)) return;
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#options = { ...this.#options, config };
    this.start();
  }

  /** One that is under way is given up by its process's end, and leaves nothing half. */
  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  /** Makes one if it is due. Never throws: what goes wrong is logged and tried again. */
  look(): Promise<void> {
    this.#running ??= this.#makeIfDue()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  }

  #failed(error: unknown): void {
    const { clock, log } = this.#options;
    this.#lastError = error instanceof Error ? error.message : String(error);
    this.#failures += 1;
    this.#notBeforeMs = clock.nowMs() + RETRY_MS;
    log.error('backup_failed', { error });
  }

  async #makeIfDue(): Promise<void> {
    const { config, clock, log, runSelf } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs < this.#notBeforeMs) return;
    await mkdir(config.directory, { recursive: true, mode: 0o700 });
    const made = backupsAmong(await readdir(config.directory));
    const newest = made.at(-1);
    await this.#note(newest);
    if (newest && newest.atMs + config.everyMs > nowMs) return;
    const name = nameAt(nowMs, config.passphrase !== null);
    const file = join(config.directory, name);
    const secret: Record<string, string> =
      config.passphrase === null ? {} : { [PASSPHRASE]: config.passphrase };
    const { code, complaint } = await runSelf(['backup', file], secret);
    if (code !== 0)
      throw new Error(`"farebox backup" ended with ${code}: ${complaint.slice(0, MAX_COMPLAINT)}`);
    if (config.s3) await copyToS3(config.s3, file, name, config.keep);
    const extra = [...made, { name, atMs: nowMs }].slice(0, -config.keep);
    for (const { name: old } of extra) await rm(join(config.directory, old), { force: true });
    this.#lastError = null;
    await this.#note({ name, atMs: nowMs });
    log.info('backup_made', { file, bytes: this.#last?.bytes ?? null });
  }

  async #note(newest: { name: string; atMs: number } | undefined): Promise<void> {
    if (newest?.atMs === this.#last?.atMs) return;
    const found = newest && (await stat(join(this.#options.config.directory, newest.name)));
    this.#last = newest ? { atMs: newest.atMs, bytes: found?.size ?? null } : null;
  }
}

function nameAt(ms: number, isEncrypted: boolean): string {
  const at = new Date(ms).toISOString().slice(0, 19).replaceAll(':', '');
  return `farebox-${at}Z.tgz${isEncrypted ? '.age' : ''}`;
}

/** The oldest first. */
function backupsAmong(names: readonly string[]): { name: string; atMs: number }[] {
  return names
    .flatMap((name) => {
      const at = NAME.exec(name)?.[1];
      if (at === undefined) return [];
      const [day = '', time = ''] = at.split('T');
      const atMs = Date.parse(`${day}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}Z`);
      return Number.isNaN(atMs) ? [] : [{ name, atMs }];
    })
    .toSorted((a, b) => a.atMs - b.atMs);
}

async function copyToS3(config: S3Config, file: string, name: string, keep: number): Promise<void> {
  const bucket = new S3Blobs(config, 'backups');
  const spooled = `${file}.sending`;
  try {
    await copyFile(file, spooled);
    const { size: bytes } = await stat(spooled);
    await bucket.keep(
      name,
      { path: spooled, bytes, sha256: await sha256Of(spooled) },
      'application/gzip',
    );
    const names: string[] = [];
    let page: string | null = null;
    for (let read = 0; read < MAX_PAGES; read++) {
      const { blobs, next }: Awaited<ReturnType<S3Blobs['list']>> = await bucket.list(page);
      names.push(...blobs.map(({ name: full }) => full));
      page = next;
      if (page === null) break;
    }
    const byEnd = new Map(names.map((full) => [full.slice(full.lastIndexOf('/') + 1), full]));
    for (const { name: old } of backupsAmong([...byEnd.keys()]).slice(0, -keep)) {
      await bucket.remove(byEnd.get(old)!);
    }
  } finally {
    await rm(spooled, { force: true });
    await bucket.close();
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

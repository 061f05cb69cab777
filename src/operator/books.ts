/**
 * Whether every invariant of the ledger holds, looked at once a day by the program's own `verify` in a process of its own, so that
 * nobody's request waits. What it finds is on the Overview, in /metrics and in the log; nothing is changed.
 */
import type { RunSelf } from '../backup/schedule.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { BooksStatus } from './upkeep.ts';

export interface BooksCheckOptions {
  runSelf: RunSelf;
  clock: Clock;
  log: Pick<Log, 'info' | 'error'>;
}

const LOOK_MS = 60_000;
/** A start has looked at the newest entries itself, and has other things to do. */
const FIRST_AFTER_MS = 10 * 60_000;
const EVERY_MS = 86_400_000;
/** After one that did not come to its end. */
const RETRY_MS = 3_600_000;
const MAX_TEXT = 300;

export class BooksCheck {
  readonly #options: BooksCheckOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #nextMs = Infinity;
  #status: BooksStatus = { checkedAtMs: null, faults: 0, first: null, problem: null };

  constructor(options: BooksCheckOptions) {
    this.#options = options;
  }

  status(): BooksStatus {
    return this.#status;
  }

  start(): void {
    this.#nextMs = this.#options.clock.nowMs() + FIRST_AFTER_MS;
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  /** Checks if it is due. Never throws: what goes wrong is told and tried again. */
  look(): Promise<void> {
    const { clock } = this.#options;
    if (clock.nowMs() < this.#nextMs) return this.#running ?? Promise.resolve();
    this.#running ??= this.#check().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #check(): Promise<void> {
    const { runSelf, clock, log } = this.#options;
    try {
      const { out, complaint } = await runSelf(['verify', '--json'], {});
      const { faults, first } = readVerification(out, complaint);
      this.#status = { checkedAtMs: clock.nowMs(), faults, first, problem: null };
      this.#nextMs = clock.nowMs() + EVERY_MS;
      if (faults > 0) log.error('books_faulty', { faults, first });
      else log.info('books_checked', {});
    } catch (error) {
      const problem = (error instanceof Error ? error.message : String(error)).slice(0, MAX_TEXT);
      this.#status = { ...this.#status, problem };
      this.#nextMs = clock.nowMs() + RETRY_MS;
      log.error('books_not_checked', { error });
    }
  }
}

interface Said {
  ok?: unknown;
  faults?: unknown;
}

/** Throws where it did not say what it found. */
function readVerification(
  out: string,
  complaint: string,
): { faults: number; first: string | null } {
  const { ok, faults } = parsed(out);
  if (ok === true) return { faults: 0, first: null };
  if (!Array.isArray(faults) || !faults.length) {
    throw new Error(`"farebox verify" did not end well: ${complaint || out}`);
  }
  const { row, message } = faults[0] as { row?: unknown; message?: unknown };
  return { faults: faults.length, first: `${String(row)} ${String(message)}`.slice(0, MAX_TEXT) };
}

function parsed(text: string): Said {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Takes due deliveries from their rows, in the turns that lanes.ts gives, and writes down what became of each. */
import type { Kysely } from 'kysely';
import PQueue from 'p-queue';
import type { Clock } from '../clock.ts';
import type { DeliveryRow, Tables } from '../db/tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { MediaStore } from '../media/store.ts';
import type { Outbound } from '../outbound.ts';
import { attemptDelivery, type AttemptResult, TIMEOUT_MS } from './attempt.ts';
import { type Lane, laneName, Lanes, MOST_AT_ONCE } from './lanes.ts';
import { dueLanes, dueOfLane } from './rows.ts';
import { LAST_ATTEMPT_MS, waitMs } from './schedule.ts';
import type { WebhookSecrets } from './secrets.ts';

export interface PumpOptions {
  ledger: Ledger;
  /** Looks over all that is due. */
  reports: Kysely<Tables>;
  outbound: Outbound;
  media: Pick<MediaStore, 'ofTasks' | 'renewLinks'>;
  secrets: WebhookSecrets;
  /** Throws where it cannot be opened any more. */
  open(row: DeliveryRow, column: 'url' | 'payload'): string;
  clock: Clock;
  log: Log;
  random?: () => number;
  /** Of one attempt; 15 s by default. */
  timeoutMs?: number;
}

const EVERY_MS = 1_000;
/** Lanes of one look: far more than may run, so that those which have to wait do not hide the others. */
const LANES = 2_000;
const STOP_MS = 3_000;
/** Links in an event last as long as it may be on its way, and a day to fetch what they lead to. */
const LINK_MS = LAST_ATTEMPT_MS + 86_400_000;
const GONE = 410;
const NOTHING = { status: null, askedMs: 0 };

export class Pump {
  readonly #options: PumpOptions;
  readonly #lanes: Lanes;
  readonly #queue = new PQueue({ concurrency: MOST_AT_ONCE });
  readonly #underWay = new Set<string>();
  /** Since the rows that are looked at were asked for: they may say that it is due still. */
  readonly #endedMeanwhile = new Set<string>();
  readonly #stopping = new AbortController();
  /** Lanes whose turn comes next, each once: those of the last look, and those that have just ended a delivery. */
  readonly #next = new Map<string, Lane>();
  #timer: NodeJS.Timeout | null = null;
  #working: Promise<void> | null = null;
  #isWoken = false;
  #isStopped = false;
  #begun = 0;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#lanes = new Lanes(options.clock);
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#isStopped = true;
    const grace = setTimeout(() => this.#stopping.abort(), STOP_MS);
    await this.#worked();
    await this.#queue.onIdle();
    clearTimeout(grace);
  }

  /** Looks for what is due. */
  wake(): void {
    this.#isWoken = true;
    this.#work();
  }

  /** Until nothing that is due may be tried. */
  async run(): Promise<void> {
    let before: number;
    do {
      before = this.#begun;
      this.wake();
      await this.#worked();
      await this.#queue.onIdle();
      // Each that ended has given its turn on.
      await this.#worked();
    } while (this.#begun > before || this.#underWay.size > 0);
  }

  async #worked(): Promise<void> {
    for (let working = this.#working; working; working = this.#working) await working;
  }

  #work(): void {
    if (this.#isStopped) return;
    this.#working ??= this.#giveTurns()
      .catch((error: unknown) => this.#options.log.error('webhooks_failed', { error }))
      .finally(() => {
        this.#working = null;
        // Woken after its last look round.
        if (this.#isWoken && !this.#lanes.isFull()) this.#work();
      });
  }

  async #giveTurns(): Promise<void> {
    while (!this.#isStopped && !this.#lanes.isFull()) {
      if (this.#isWoken) await this.#look();
      const [first] = this.#next;
      if (!first) {
        if (this.#isWoken) continue;
        return;
      }
      const [name, lane] = first;
      this.#next.delete(name);
      const room = this.#lanes.room(lane);
      // One that has none now comes back when one of its own ends, or with the next look.
      if (room > 0) await this.#begin(lane, room);
    }
  }

  async #look(): Promise<void> {
    this.#isWoken = false;
    const { reports, clock } = this.#options;
    const lanes = await dueLanes(reports, clock.nowMs(), LANES);
    for (const lane of lanes) this.#next.set(laneName(lane), lane);
  }

  async #begin(lane: Lane, room: number): Promise<void> {
    const { ledger, clock } = this.#options;
    this.#endedMeanwhile.clear();
    // Those under way are due as well, until their end is written.
    const rows = await dueOfLane(ledger.read, lane, clock.nowMs(), room + MOST_AT_ONCE);
    let left = room;
    for (const row of rows) {
      if (left === 0) return;
      if (this.#underWay.has(row.id) || this.#endedMeanwhile.has(row.id)) continue;
      const isRetry = row.attempts > 0;
      if (isRetry && !this.#lanes.roomForRetry()) continue;
      left -= 1;
      this.#begun += 1;
      this.#underWay.add(row.id);
      const end = this.#lanes.begin(lane, isRetry);
      void this.#queue.add(() => this.#deliver(row, lane, end));
    }
  }

  /** Never throws. */
  async #deliver(row: DeliveryRow, lane: Lane, end: (isGood: boolean) => void): Promise<void> {
    let isGood = false;
    try {
      isGood = await this.#attempt(row);
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        this.#options.log.error('webhook_not_attempted', { delivery: row.id, error });
      }
    } finally {
      this.#underWay.delete(row.id);
      this.#endedMeanwhile.add(row.id);
      end(isGood);
      this.#next.set(laneName(lane), lane);
      this.#work();
    }
  }

  /** Whether it was delivered. */
  async #attempt(row: DeliveryRow): Promise<boolean> {
    const { outbound, secrets, clock, timeoutMs = TIMEOUT_MS } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs - row.since > LAST_ATTEMPT_MS) {
      await this.#giveUp(row, row.attempts, { ...NOTHING, error: 'its time is over' });
      return false;
    }
    let url: string;
    let payload: string;
    try {
      url = this.#options.open(row, 'url');
      payload = this.#options.open(row, 'payload');
    } catch {
      await this.#giveUp(row, row.attempts, { ...NOTHING, error: 'it cannot be opened any more' });
      return false;
    }
    const result = await attemptDelivery(outbound, {
      id: row.id,
      url,
      body: await this.#bodyOf(row.task_id, payload),
      secrets: await secrets.toSign(row.account_id, nowMs),
      nowMs,
      timeoutMs,
      signal: this.#stopping.signal,
    });
    await this.#conclude(row, result);
    return result.error === null;
  }

  /** The links in it were made when the task ended. */
  async #bodyOf(taskId: string, payload: string): Promise<Buffer> {
    const { media } = this.#options;
    return Buffer.from(media.renewLinks(payload, await media.ofTasks([taskId]), LINK_MS));
  }

  async #conclude(row: DeliveryRow, result: AttemptResult): Promise<void> {
    const { log, clock, random = Math.random } = this.#options;
    const { id, task_id: task, origin } = row;
    const attempts = row.attempts + 1;
    const { status, error } = result;
    if (error === null) {
      const nowMs = clock.nowMs();
      await this.#write(
        row,
        { state: 'delivered', next_at: null, attempts, delivered_at: nowMs },
        result,
      );
      return;
    }
    const wait = status === GONE ? null : waitMs(attempts, result.askedMs, random);
    if (wait === null) return this.#giveUp(row, attempts, result);
    log.info('webhook_failed', { delivery: id, task, origin, attempts, status, reason: error });
    await this.#write(row, { next_at: clock.nowMs() + wait, attempts }, result);
  }

  async #giveUp(row: DeliveryRow, attempts: number, result: AttemptResult): Promise<void> {
    const { id: delivery, task_id: task, origin } = row;
    const { status, error: reason } = result;
    const { log } = this.#options;
    log.warn('webhook_given_up', { delivery, task, origin, attempts, status, reason });
    await this.#write(row, { state: 'failed', next_at: null, attempts }, result);
  }

  /** Unless it was asked for once more meanwhile: then that goes on by itself. */
  async #write(
    row: DeliveryRow,
    change: Partial<DeliveryRow>,
    { status, error }: AttemptResult,
  ): Promise<void> {
    await this.#options.ledger.write(({ db }) =>
      db
        .updateTable('webhook_deliveries')
        .set({ ...change, last_status: status, last_error: error })
        .where('id', '=', row.id)
        .where('state', '=', 'pending')
        .where('attempts', '=', row.attempts)
        .where('since', '=', row.since)
        .execute(),
    );
  }
}

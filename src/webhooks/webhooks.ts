/**
 * What callbacks are told of a task: at least once, as Standard Webhooks v1. The row of a delivery is written with the end of its task;
 * from then on it is tried until a receiver takes it or its time is over, over restarts.
 */
import type { Kysely } from 'kysely';
import type { Clock } from '../clock.ts';
import type { DeliveryRow, DeliveryState, Tables } from '../db/tables.ts';
import { audit } from '../audit.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Ledger, WriteTx } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { MediaStore } from '../media/store.ts';
import { type Outbound, RefusedUrl } from '../outbound.ts';
import type { SecretBox } from '../secrets.ts';
import { Pump } from './pump.ts';
import { type DeliveryFilter, listDeliveries } from './rows.ts';
import { WebhookSecrets } from './secrets.ts';

export interface NewDelivery {
  accountId: string;
  taskId: string;
  /** As `requireCallback` gave it. */
  url: string;
  /** "task.completed"; one of each for a task. */
  event: string;
  /** The task as GET /v1/tasks/{id} shows it; links in it are fresh whenever it is sent. */
  payload: Record<string, unknown>;
}

export interface WebhooksOptions {
  ledger: Ledger;
  /** A connection on which a long statement keeps nobody waiting. */
  reports: Kysely<Tables>;
  outbound: Outbound;
  media: Pick<MediaStore, 'ofTasks' | 'renewLinks'>;
  box: SecretBox;
  clock: Clock;
  log: Log;
  /** In [0, 1). */
  random?: () => number;
  /** Of one attempt; 15 s by default. */
  timeoutMs?: number;
}

/** Of one account; what is beyond it is not sent unless it is asked for again. */
const MAX_PENDING = 10_000;
/** Between asking for a delivery again and again: it is no tool to hit somebody with. */
const REDELIVER_MS = 10_000;
const MAX_EVENTS = 100;

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #pump: Pump;
  readonly secrets: WebhookSecrets;

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.secrets = new WebhookSecrets(options);
    const open = (row: DeliveryRow, column: SealedColumn) =>
      options.box.open(placeOf(row, column), row[column]);
    this.#pump = new Pump({ ...options, secrets: this.secrets, open });
  }

  start(): void {
    this.#pump.start();
  }

  /** What is under way is given a moment; what was not delivered is taken up by the next start. */
  stop(): Promise<void> {
    return this.#pump.stop();
  }

  /** Delivers all that is due; for tests, which have a clock of their own. */
  deliverDue(): Promise<void> {
    return this.#pump.run();
  }

  /** The URL as it is kept. Throws invalid_request, field `callback_url`. */
  requireCallback(url: unknown): string {
    if (typeof url !== 'string') throw wrongCallback('must be an https URL');
    try {
      const parsed = this.#options.outbound.parse(url);
      parsed.hash = '';
      return parsed.href;
    } catch (error) {
      if (error instanceof RefusedUrl) throw wrongCallback(error.message);
      throw error;
    }
  }

  /** In the transaction that ends the task; the same event a second time changes nothing. */
  async enqueue(tx: WriteTx, delivery: NewDelivery): Promise<void> {
    const { db, nowMs } = tx;
    const { accountId, taskId, url, event, payload } = delivery;
    const id = newId('evt');
    const seal = (column: SealedColumn, text: string) =>
      this.#options.box.seal(placeOf({ id, account_id: accountId }, column), text);
    const timestamp = new Date(nowMs).toISOString();
    const isTooMany = await hasPending(db, accountId, MAX_PENDING);
    await db
      .insertInto('webhook_deliveries')
      .values({
        id,
        account_id: accountId,
        task_id: taskId,
        event,
        url: seal('url', url),
        origin: new URL(url).origin,
        payload: seal('payload', JSON.stringify({ type: event, timestamp, data: payload })),
        state: isTooMany ? 'failed' : 'pending',
        attempts: 0,
        next_at: isTooMany ? null : nowMs,
        last_status: null,
        last_error: isTooMany ? `more than ${MAX_PENDING} deliveries wait already` : null,
        created_at: nowMs,
        since: nowMs,
        delivered_at: null,
      })
      .onConflict((conflict) => conflict.columns(['task_id', 'event']).doNothing())
      .execute();
  }

  /** After that transaction: delivers at once what would otherwise wait for the next look. */
  wake(): void {
    this.#pump.wake();
  }

  /** Newest first. */
  list(filter: DeliveryFilter): Promise<DeliveryRow[]> {
    return listDeliveries(this.#options.reports, filter);
  }

  /** For those who are shown it: where a delivery goes; null where that cannot be opened any more. */
  urlOf(row: DeliveryRow): string | null {
    try {
      return this.#options.box.open(placeOf(row, 'url'), row.url);
    } catch {
      return null;
    }
  }

  /**
   * Sends events once more, under the same ids: all of a task, or one by its id. `accountId` null: of anybody. Throws not_found, or
   * rate_limited where it was asked for a moment ago. `actor`: of an operator, for the log of changes.
   */
  async redeliver(
    accountId: string | null,
    which: { taskId: string } | { id: string },
    actor: string | null = null,
  ): Promise<DeliveryRow[]> {
    const rows = await this.#options.ledger.write(async (tx) => {
      const { db, nowMs } = tx;
      let query = db.selectFrom('webhook_deliveries').selectAll();
      query =
        'id' in which
          ? query.where('id', '=', which.id)
          : query.where('task_id', '=', which.taskId);
      if (accountId !== null) query = query.where('account_id', '=', accountId);
      const found = await query.orderBy('id').limit(MAX_EVENTS).execute();
      if (!found.length) throw new AppError('not_found', 'There is no delivery like that.');
      const newest = Math.max(
        ...found.map(({ since, created_at }) => (since > created_at ? since : 0)),
      );
      if (nowMs - newest < REDELIVER_MS) throw tooSoon(newest + REDELIVER_MS - nowMs);
      const again = {
        state: 'pending' as DeliveryState,
        attempts: 0,
        next_at: nowMs,
        since: nowMs,
      };
      const ids = found.map(({ id }) => id);
      await db.updateTable('webhook_deliveries').set(again).where('id', 'in', ids).execute();
      const target = 'id' in which ? which.id : which.taskId;
      if (actor !== null) await audit(tx, { actor, action: 'webhook.redeliver', target });
      return found.map((row) => ({ ...row, ...again }));
    });
    this.wake();
    return rows;
  }
}

async function hasPending(db: WriteTx['db'], accountId: string, most: number): Promise<boolean> {
  const row = await db
    .selectFrom('webhook_deliveries')
    .select('id')
    .where('account_id', '=', accountId)
    .where('state', '=', 'pending')
    .limit(1)
    .offset(most)
    .executeTakeFirst();
  return row !== undefined;
}

type SealedColumn = 'url' | 'payload';

/** Where a value opens, and nowhere else. */
function placeOf(
  { id, account_id }: Pick<DeliveryRow, 'id' | 'account_id'>,
  column: SealedColumn,
): string {
  return `webhook_deliveries/${id}/${account_id}/${column}`;
}

function wrongCallback(what: string): AppError {
  return new AppError('invalid_request', `callback_url: ${what}.`, {
    details: { field: 'callback_url' },
  });
}

function tooSoon(waitMs: number): AppError {
  return new AppError('rate_limited', 'It was sent again a moment ago.', {
    retryAfterSeconds: Math.ceil(waitMs / 1_000),
  });
}

/** Families about results and webhooks, read at most every few seconds. */
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../clock.ts';
import type { Tables } from '../db/tables.ts';
import { keptFor } from '../metrics/kept.ts';
import type { Metrics } from '../metrics/metrics.ts';

const KEPT_MS = 10_000;
const MS_PER_SECOND = 1_000;

export interface MediaFiguresOptions {
  /** A connection on which a long statement keeps nobody waiting. */
  reports: Kysely<Tables>;
  clock: Clock;
}

export function addMediaFigures(
  metrics: Pick<Metrics, 'add'>,
  { reports, clock }: MediaFiguresOptions,
): void {
  const results = keptFor(clock, KEPT_MS, () => kept(reports));
  metrics.add({
    name: 'farebox_media_files',
    help: 'Results that are kept.',
    kind: 'gauge',
    collect: async () => [{ value: (await results()).files }],
  });
  metrics.add({
    name: 'farebox_media_bytes',
    help: 'What they take.',
    kind: 'gauge',
    collect: async () => [{ value: (await results()).bytes }],
  });
  metrics.add({
    name: 'farebox_webhook_deliveries',
    help: 'Webhooks by state; failed are those that were given up.',
    kind: 'gauge',
    labels: ['state'],
    collect: keptFor(clock, KEPT_MS, async () =>
      (await byState(reports)).map(({ state, count }) => ({ labels: { state }, value: count })),
    ),
  });
  metrics.add({
    name: 'farebox_webhook_delay_seconds',
    help: 'How long the webhook that is due the longest has been waiting.',
    kind: 'gauge',
    collect: keptFor(clock, KEPT_MS, async () => [{ value: await delay(reports, clock.nowMs()) }]),
  });
}

function kept(db: Kysely<Tables>): Promise<{ files: number; bytes: number }> {
  return db
    .selectFrom('media')
    .select(sql<number>`count(*)`.as('files'))
    .select(sql<number>`coalesce(sum(bytes), 0)`.as('bytes'))
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow();
}

function byState(db: Kysely<Tables>): Promise<{ state: string; count: number }[]> {
  return db
    .selectFrom('webhook_deliveries')
    .select(['state', sql<number>`count(*)`.as('count')])
    .groupBy('state')
    .execute();
}

async function delay(db: Kysely<Tables>, nowMs: number): Promise<number> {
  const first = await db
    .selectFrom('webhook_deliveries')
    .select((eb) => eb.fn.min('next_at').as('at'))
    .where('state', '=', 'pending')
    .executeTakeFirst();
  return first?.at ? Math.max(0, nowMs - first.at) / MS_PER_SECOND : 0;
}

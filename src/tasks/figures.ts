/** Families about tasks under way, read at most every few seconds, by indexes over those alone. */
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../clock.ts';
import type { Tables } from '../db/tables.ts';
import { keptFor } from '../metrics/kept.ts';
import type { Metrics } from '../metrics/metrics.ts';

const KEPT_MS = 10_000;
const MS_PER_SECOND = 1_000;

export interface TaskFiguresOptions {
  /** A connection on which a long statement keeps nobody waiting. */
  reports: Kysely<Tables>;
  clock: Clock;
}

export function addTaskFigures(
  metrics: Pick<Metrics, 'add'>,
  { reports, clock }: TaskFiguresOptions,
): void {
  const read = keptFor(clock, KEPT_MS, () => underWay(reports));
  metrics.add({
    name: 'farebox_tasks',
    help: 'Tasks that have not ended: those that wait for a channel, and those that one works on.',
    kind: 'gauge',
    labels: ['state'],
    collect: async () => {
      const { waiting, running } = await read();
      return [
        { labels: { state: 'waiting' }, value: waiting },
        { labels: { state: 'running' }, value: running },
      ];
    },
  });
  metrics.add({
    name: 'farebox_tasks_oldest_waiting_seconds',
    help: 'How long the task waits that waits longest.',
    kind: 'gauge',
    collect: async () => {
      const { oldestAt } = await read();
      const ms = oldestAt === null ? 0 : Math.max(0, clock.nowMs() - oldestAt);
      return [{ value: ms / MS_PER_SECOND }];
    },
  });
}

async function underWay(db: Kysely<Tables>) {
  const queued = await db
    .selectFrom('tasks')
    .select([sql<number>`count(*)`.as('count'), sql<number | null>`min(created_at)`.as('oldest')])
    .where('queue', 'is not', null)
    .executeTakeFirstOrThrow();
  const running = await db
    .selectFrom('tasks')
    .select(sql<number>`count(*)`.as('count'))
    .where('next_at', 'is not', null)
    .where('state', 'in', ['pending', 'processing'])
    .executeTakeFirstOrThrow();
  return { waiting: queued.count, oldestAt: queued.oldest, running: running.count };
}

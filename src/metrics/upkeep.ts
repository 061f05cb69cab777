/** Families about backups and the check of the books. */
import type { Upkeep } from '../operator/upkeep.ts';
import type { Metrics, Sample } from './metrics.ts';

const MS_PER_S = 1_000;

export function addUpkeep(metrics: Metrics, { backups, books }: Upkeep): void {
  const gauge = (name: string, help: string, value: () => number | null | undefined) =>
    metrics.add({ name, help, kind: 'gauge', collect: () => known(value()) });
  const seconds = (ms: number | null | undefined) => (ms ? ms / MS_PER_S : null);
  gauge(
    'farebox_backup_interval_seconds',
    'How often backups are made; none where the server makes none.',
    () => seconds(backups()?.everyMs),
  );
  gauge(
    'farebox_backup_last_success_timestamp_seconds',
    'When the newest scheduled backup was made, Unix time.',
    () => seconds(backups()?.lastAtMs),
  );
  gauge(
    'farebox_backup_last_bytes',
    'Size of the newest scheduled backup.',
    () => backups()?.lastBytes,
  );
  metrics.add({
    name: 'farebox_backup_failures_total',
    help: 'Scheduled backups that failed since the start.',
    kind: 'counter',
    collect: () => known(backups()?.failures),
  });
  gauge('farebox_books_faults', 'Rows that broke a rule at the last check of the books.', () => {
    const status = books();
    return status?.checkedAtMs ? status.faults : null;
  });
  gauge(
    'farebox_books_checked_timestamp_seconds',
    'When the books were checked last, Unix time.',
    () => seconds(books()?.checkedAtMs),
  );
}

function known(value: number | null | undefined): Sample[] {
  return value === null || value === undefined ? [] : [{ value }];
}

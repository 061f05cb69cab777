/** Medians, ratios and the tables that the bench prints. */
import type { CellResult, ServerName } from './cells.ts';
import type { LedgerReport } from './ledger-figures.ts';
import type { Shape } from './shapes.ts';
import type { StreamResult } from './slow-streams.ts';

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Left-aligned first column, right-aligned others. */
export function table(header: string[], rows: string[][]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function digits(value: number, places = 0): string {
  return Number.isFinite(value) ? value.toFixed(places) : '-';
}

const LABELS: Record<ServerName, string> = {
  direct: 'upstream, no proxy',
  plain: 'plain Koa proxy',
  key: 'Farebox, API key',
  session: 'Farebox, sign-in reused',
  fresh: 'Farebox, sign-in fresh',
};

export function cellTable(shape: Shape, results: CellResult[]): string {
  const rows = results
    .filter((result) => result.shape === shape)
    .map((result) => [
      LABELS[result.server],
      String(result.connections),
      digits(result.rps),
      digits(result.cpuUs, 1),
      digits(result.p50Us / 1_000, 2),
      digits(result.p99Us / 1_000, 2),
      String(result.errors),
    ]);
  const title = shape === 'json' ? 'JSON, 3 KB in, 1 KB out' : 'SSE, 50 chunks and usage';
  return table([title, 'c', 'req/s', 'CPU µs/req', 'p50 ms', 'p99 ms', 'errors'], rows);
}

/** Medians of ratios taken within a round. */
export function ratioTable(results: CellResult[]): string {
  const pairs: [ServerName, ServerName][] = [
    ['key', 'plain'],
    ['session', 'plain'],
    ['fresh', 'plain'],
    ['session', 'key'],
    ['fresh', 'key'],
  ];
  const rows: string[][] = [];
  const first = results[0]?.server;
  for (const base of results.filter((result) => result.server === first)) {
    for (const [over, under] of pairs) {
      const [cpu, rps] = ratios(results, base, over, under);
      if (Number.isNaN(cpu)) continue;
      const cell = `${base.shape} c=${base.connections}`;
      rows.push([`${LABELS[over]} / ${LABELS[under]}`, cell, digits(cpu, 2), digits(rps, 2)]);
    }
  }
  return table(['ratio', 'cell', 'CPU/req', 'req/s'], rows);
}

type Cell = Pick<CellResult, 'shape' | 'connections'>;

function ratios(
  results: CellResult[],
  cell: Cell,
  over: ServerName,
  under: ServerName,
): [cpu: number, rps: number] {
  const find = (server: ServerName) =>
    results.find(
      (result) =>
        result.server === server &&
        result.shape === cell.shape &&
        result.connections === cell.connections,
    );
  const a = find(over);
  const b = find(under);
  const of = (x: number[] = [], y: number[] = []) => median(x.map((v, n) => v / (y[n] ?? NaN)));
  return [of(a?.cpuRounds, b?.cpuRounds), of(a?.rpsRounds, b?.rpsRounds)];
}

/** What the project set itself, and what this run got. */
export function goalTable(
  results: CellResult[],
  ledger: LedgerReport | null,
  streams: StreamResult[],
): string {
  const cpu = (connections: number, over: ServerName, under: ServerName) =>
    ratios(results, { shape: 'json', connections }, over, under)[0];
  const farebox = streams.find((result) => result.server === 'farebox');
  const goals: [name: string, got: number, most: number][] = [
    ['CPU/request, key / plain proxy, JSON c=32', cpu(32, 'key', 'plain'), 1],
    ['CPU/request, key / plain proxy, JSON c=128', cpu(128, 'key', 'plain'), 0.8],
    ['CPU/request, fresh sign-in / key, JSON c=128', cpu(128, 'fresh', 'key'), 2.3],
    ['ledger, CPU µs per pair at 64 callers', ledger?.cpuUsPerPair ?? NaN, 30],
    ['ledger, fsync per pair at 64 callers', ledger?.syncsPerPair ?? NaN, 0.05],
    ['RSS MB with 1,000 slow streams', farebox?.streams === 1_000 ? farebox.highestMb : NaN, 200],
  ];
  const rows = goals
    .filter(([, got]) => Number.isFinite(got))
    .map(([name, got, most]) => [
      name,
      `<= ${most}`,
      got.toPrecision(3),
      got <= most ? 'met' : 'NOT met',
    ]);
  return table(['goal', 'at most', 'this run', ''], rows);
}

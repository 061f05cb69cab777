/**
 * npm run bench: Farebox against an ordinary Koa proxy, the ledger alone, and many slow streams, in one run on loopback.
 * Servers run as processes of their own; each figure is the median of rounds in which the servers take turns.
 */
import { parseArgs } from 'node:util';
import { cells, type CellResult, SERVERS } from './bench/cells.ts';
import { measureLedger } from './bench/ledger-figures.ts';
import { isPinned } from './bench/process.ts';
import { cellTable, goalTable, ratioTable } from './bench/report.ts';
import { slowStreams, streamTable, type StreamResult } from './bench/slow-streams.ts';

const HELP = `npm run bench -- [options]
  --quick            one short round at c=32, for a first look (about 30 s)
  --only LIST        some of: json, sse, ledger, streams
  --servers LIST     some of: direct, plain, key, session, fresh
  --rounds N         rounds per cell (3)
  --seconds N        seconds per measurement (1.2)
  --json             figures as JSON on standard output, progress on standard error`;

const PARTS = ['json', 'sse', 'ledger', 'streams'] as const;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: PARTS.join(',') },
    servers: { type: 'string', default: SERVERS.join(',') },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const print = (text: string) => {
  if (!values.json) process.stdout.write(`${text}\n`);
};
const progress = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const parts = new Set(values.only.split(','));
  const unknown = [...parts].filter((part) => !PARTS.some((known) => known === part));
  if (values.help || unknown.length) {
    process.stdout.write(`${unknown.length ? `unknown: ${unknown.join(', ')}\n` : ''}${HELP}\n`);
    process.exitCode = unknown.length ? 2 : 0;
    return;
  }
  const seconds = Number(values.seconds ?? (values.quick ? 0.8 : 1.2));
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const shapes = (['json', 'sse'] as const).filter((shape) => parts.has(shape));
  print(
    isPinned
      ? 'Servers on CPU 0, load and upstream on CPU 1.'
      : 'Processes are not pinned to CPUs.',
  );
  let results: CellResult[] = [];
  if (shapes.length) {
    const concurrency = values.quick ? [32] : [1, 32, 128];
    const servers = SERVERS.filter((name) => values.servers.split(',').includes(name));
    results = await cells({ servers, shapes, concurrency, rounds, seconds, progress });
    for (const shape of shapes) print(`\n${cellTable(shape, results)}`);
    if (servers.length > 1) print(`\n${ratioTable(results)}`);
  }
  const ledger = parts.has('ledger') ? measureLedger(values.quick ? 1 : 3) : null;
  if (ledger) {
    print(
      `\nLedger alone, 64 callers: ${ledger.pairsPerSecond.toFixed(0)} pairs/s, ${ledger.cpuUsPerPair.toFixed(1)} µs CPU and ` +
        `${ledger.syncsPerPair.toFixed(3)} fsync a pair (${ledger.syncSource}), ${(ledger.pairs / ledger.batches).toFixed(1)} pairs a batch`,
    );
  }
  let streams: StreamResult[] = [];
  if (parts.has('streams')) {
    streams = await slowStreams(values.quick ? 200 : 1_000, progress);
    print(`\n${streamTable(streams)}`);
  }
  print(`\n${goalTable(results, ledger, streams)}`);
  if (values.json) process.stdout.write(`${JSON.stringify({ results, ledger, streams })}\n`);
  const errors = [...results, ...streams].reduce((sum, result) => sum + result.errors, 0);
  if (errors) {
    progress(`${errors} requests failed, so these figures are not to be trusted`);
    process.exitCode = 1;
  }
}

await main();

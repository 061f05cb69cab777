/** The grid: every server, every shape, every number of connections, in rounds in which the servers take turns. */
import { type Farebox, CHAIN_ID, startFarebox } from './farebox.ts';
import type { Job } from './load.ts';
import { type Load, type Sample, startLoad } from './measure.ts';
import { type Child, LOAD_CPU, portOf, SERVER_CPU, startNode } from './process.ts';
import { median } from './report.ts';
import { requestBody, type Shape } from './shapes.ts';
import { signedHeaders } from './signer.ts';

export const SERVERS = ['direct', 'plain', 'key', 'session', 'fresh'] as const;
export type ServerName = (typeof SERVERS)[number];

const PATH = '/v1/chat/completions';
const WARM_UP_SECONDS = 1.5;
const FIRST_FRESH_COUNT = 4_000;

export interface CellResult {
  server: ServerName;
  shape: Shape;
  connections: number;
  rps: number;
  cpuUs: number;
  p50Us: number;
  p99Us: number;
  errors: number;
  firstError: string | null;
  /** CPU per request of each round, for ratios within a round. */
  cpuRounds: number[];
  rpsRounds: number[];
}

export interface GridOptions {
  servers: readonly ServerName[];
  shapes: readonly Shape[];
  concurrency: number[];
  rounds: number;
  seconds: number;
  progress(text: string): void;
}

interface Target {
  name: ServerName;
  pid: number;
  port: number;
  /** Credentials of one measurement; `rate` is the last measured requests per second. */
  credentials(seconds: number, rate: number): Promise<Pick<Job, 'headers' | 'fresh'>>;
}

interface Servers {
  targets: Target[];
  stop(): Promise<void>;
}

export function startUpstream(): Child {
  return startNode(new URL('upstream.ts', import.meta.url), [], { cpu: LOAD_CPU });
}

export function startPlainProxy(upstreamPort: number, path: string): Child {
  return startNode(
    new URL('plain-proxy.ts', import.meta.url),
    [`http://127.0.0.1:${upstreamPort}/${path}`],
    { cpu: SERVER_CPU, env: { NODE_ENV: 'production' } },
  );
}

export async function cells(options: GridOptions): Promise<CellResult[]> {
  const servers = await startServers(options.servers);
  const load = startLoad();
  try {
    await warmUp(load, servers.targets, options);
    const results: CellResult[] = [];
    for (const shape of options.shapes) {
      for (const connections of options.concurrency) {
        options.progress(`${shape}, ${connections} connections`);
        results.push(...(await cell(load, servers.targets, shape, connections, options)));
      }
    }
    return results;
  } finally {
    await load.stop();
    await servers.stop();
  }
}

async function startServers(names: readonly ServerName[]): Promise<Servers> {
  const running: { stop(): Promise<void> }[] = [];
  const keep = <T extends { stop(): Promise<void> }>(server: T): T => {
    running.push(server);
    return server;
  };
  const stop = async () => {
    for (const each of running.toReversed()) await each.stop();
  };
  try {
    const upstream = keep(startUpstream());
    const upstreamPort = await portOf(upstream);
    const targets: Target[] = [];
    const none = async () => ({ headers: [], fresh: null });
    const has = (...wanted: ServerName[]) => names.some((name) => wanted.includes(name));
    if (has('direct')) {
      targets.push({ name: 'direct', pid: upstream.pid, port: upstreamPort, credentials: none });
    }
    if (has('plain')) {
      const plain = keep(startPlainProxy(upstreamPort, 'v1'));
      const port = await portOf(plain);
      targets.push({ name: 'plain', pid: plain.pid, port, credentials: none });
    }
    if (has('key', 'session')) {
      const farebox = keep(await startFarebox({ upstreamPort, replay: 'session' }));
      targets.push(
        { name: 'key', ...place(farebox), credentials: async () => withKeys(farebox) },
        { name: 'session', ...place(farebox), credentials: () => withSessions(farebox) },
      );
    }
    if (has('fresh')) {
      const farebox = keep(await startFarebox({ upstreamPort, replay: 'single-use' }));
      targets.push({
        name: 'fresh',
        ...place(farebox),
        credentials: async (seconds, rate) => withFreshHeaders(farebox, seconds, rate),
      });
    }
    return { targets: targets.filter(({ name }) => names.includes(name)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const place = (farebox: Farebox) => ({ pid: farebox.child.pid, port: farebox.port });

function withKeys(farebox: Farebox) {
  return { headers: farebox.keys.map((key) => `Authorization: Bearer ${key}`), fresh: null };
}

async function withSessions({ privateKeys, origin }: Farebox) {
  const count = privateKeys.length;
  const headers = await signedHeaders({ count, privateKeys, origin, chainId: CHAIN_ID });
  return { headers, fresh: null };
}

function withFreshHeaders({ privateKeys, origin }: Farebox, seconds: number, rate: number) {
  const count = rate > 0 ? Math.ceil(rate * seconds * 1.5) + 256 : FIRST_FRESH_COUNT;
  return { headers: [], fresh: { count, privateKeys, origin, chainId: CHAIN_ID } };
}

async function warmUp(load: Load, targets: Target[], options: GridOptions): Promise<void> {
  for (const shape of options.shapes) {
    for (const target of targets) {
      options.progress(`warming up ${target.name}, ${shape}`);
      const sample = await measure(load, target, shape, 32, WARM_UP_SECONDS, 0);
      if (sample.errors) throw new Error(`${target.name} failed: ${sample.firstError}`);
    }
  }
}

async function cell(
  load: Load,
  targets: Target[],
  shape: Shape,
  connections: number,
  options: GridOptions,
): Promise<CellResult[]> {
  const samples = new Map<ServerName, Sample[]>(targets.map((target) => [target.name, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const target of turned(targets, round)) {
      const taken = samples.get(target.name) ?? [];
      const rate = taken.at(-1)?.rps ?? 0;
      taken.push(await measure(load, target, shape, connections, options.seconds, rate));
    }
  }
  return targets.map(({ name }) => summary(name, shape, connections, samples.get(name) ?? []));
}

/** Each round begins with another server. */
function turned<T>(list: T[], by: number): T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

async function measure(
  load: Load,
  target: Target,
  shape: Shape,
  connections: number,
  seconds: number,
  rate: number,
): Promise<Sample> {
  const credentials = await target.credentials(seconds, rate);
  const job: Job = {
    port: target.port,
    path: PATH,
    body: requestBody(shape),
    connections,
    seconds,
    tailHas: shape === 'sse' ? '[DONE]' : '}',
    ...credentials,
  };
  return load.run(job, target.pid);
}

function summary(
  server: ServerName,
  shape: Shape,
  connections: number,
  samples: Sample[],
): CellResult {
  const of = (pick: (sample: Sample) => number) => median(samples.map(pick));
  return {
    server,
    shape,
    connections,
    rps: of((sample) => sample.rps),
    cpuUs: of((sample) => sample.cpuUs),
    p50Us: of((sample) => sample.p50Us),
    p99Us: of((sample) => sample.p99Us),
    errors: samples.reduce((sum, sample) => sum + sample.errors, 0),
    firstError: samples.find((sample) => sample.firstError !== null)?.firstError ?? null,
    cpuRounds: samples.map((sample) => sample.cpuUs),
    rpsRounds: samples.map((sample) => sample.rps),
  };
}

/** Many slow streams at once: how much memory they take in the server, and whether each of them arrives whole. */
import { startPlainProxy, startUpstream } from './cells.ts';
import { startFarebox } from './farebox.ts';
import type { Job } from './load.ts';
import { startLoad } from './measure.ts';
import { memoryMb, portOf } from './process.ts';
import { digits, table } from './report.ts';
import { requestBody, SLOW_MODEL } from './shapes.ts';

export interface StreamResult {
  server: 'plain' | 'farebox';
  streams: number;
  atRestMb: number;
  highestMb: number;
  cpuUs: number;
  p50Us: number;
  errors: number;
  firstError: string | null;
}

export async function slowStreams(
  streams: number,
  progress: (text: string) => void,
): Promise<StreamResult[]> {
  const upstream = startUpstream();
  try {
    const upstreamPort = await portOf(upstream);
    progress(`${streams} slow streams through the plain proxy`);
    const first = await throughPlain(upstreamPort, streams);
    progress(`${streams} slow streams through Farebox`);
    return [first, await throughFarebox(upstreamPort, streams)];
  } finally {
    await upstream.stop();
  }
}

async function throughPlain(upstreamPort: number, streams: number): Promise<StreamResult> {
  const plain = startPlainProxy(upstreamPort, 'slow');
  try {
    return await measure('plain', plain.pid, await portOf(plain), [], streams);
  } finally {
    await plain.stop();
  }
}

async function throughFarebox(upstreamPort: number, streams: number): Promise<StreamResult> {
  const { child, port, keys, stop } = await startFarebox({ upstreamPort, replay: 'session' });
  try {
    const headers = keys.map((key) => `Authorization: Bearer ${key}`);
    return await measure('farebox', child.pid, port, headers, streams);
  } finally {
    await stop();
  }
}

async function measure(
  server: StreamResult['server'],
  pid: number,
  port: number,
  headers: string[],
  streams: number,
): Promise<StreamResult> {
  const atRestMb = memoryMb(pid).now;
  const load = startLoad();
  const job: Job = {
    port,
    path: '/v1/chat/completions',
    body: requestBody('sse', SLOW_MODEL),
    connections: streams,
    seconds: 0,
    headers,
    fresh: null,
    tailHas: '[DONE]',
  };
  try {
    const { cpuUs, p50Us, errors, firstError } = await load.run(job, pid);
    const highestMb = memoryMb(pid).highest;
    return { server, streams, atRestMb, highestMb, cpuUs, p50Us, errors, firstError };
  } finally {
    await load.stop();
  }
}

export function streamTable(results: StreamResult[]): string {
  const header = ['slow streams', 'count', 'RSS at rest MB', 'RSS highest MB', 'errors'];
  const rows = results.map((result) => [
    result.server,
    String(result.streams),
    digits(result.atRestMb),
    digits(result.highestMb),
    String(result.errors),
  ]);
  return table(header, rows);
}

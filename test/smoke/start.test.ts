import { afterAll, beforeAll, expect, it } from 'vitest';
import { Place, serve, subject } from './subject.ts';

const STARTS = Number(process.env['SMOKE_STARTS'] ?? 10);

let place: Place;
beforeAll(async () => {
  place = await Place.make();
});
afterAll(() => place[Symbol.asyncDispose]());

interface Start {
  readyMs: number;
  cpuMs: number;
}

async function start(environment: Record<string, string>): Promise<Start> {
  const server = await serve(place, { SANDBOX: '1', ...environment });
  await server.send('SIGTERM');
  expect(await server.ended).toBe(0);
  return server;
}

/** Wall time says little while others use the machine; the processor's is beside it. */
async function measure(what: string, environment: Record<string, string> = {}): Promise<void> {
  const first = await start(environment);
  const starts: Start[] = [];
  while (starts.length < STARTS) starts.push(await start(environment));
  const [ready, cpu] = [starts.map(({ readyMs }) => readyMs), starts.map(({ cpuMs }) => cpuMs)];
  console.info(
    `start to ready, ${what}, ${STARTS} times: median ${middle(ready)} ms, least ${Math.round(Math.min(...ready))} ms; ` +
      `processor: median ${middle(cpu)} ms, least ${Math.min(...cpu)} ms; the first: ${Math.round(first.readyMs)} and ${first.cpuMs} ms`,
  );
}

function middle(values: number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
}

it('starts', () => measure(subject.kind), 120_000);

it.runIf(subject.kind === 'source')(
  'starts without what Node kept of the sources',
  () => measure('source without a compile cache', { NODE_DISABLE_COMPILE_CACHE: '1' }),
  120_000,
);

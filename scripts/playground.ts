/**
 * The child process of the operator's playground: a sandbox with the operator's models, and agents with play money that try them out. It is
 * started by the server, told what to do over its standard input, and ends with that: also when its parent was killed.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type App, createApp } from '../src/app.ts';
import { DIRECTORY_PREFIX } from '../src/playground/child.ts';
import { type FromChild, RESULTS, RUN_MS, type ToChild } from '../src/playground/protocol.ts';
import { configOf, decodeSpec } from '../src/playground/spec.ts';
import { Agent, GATE } from './playground/agent.ts';
import { Results } from './playground/results.ts';
import { type AgentWallet, randomWallet } from './wallet/wallet-file.ts';

const CLOSE_MS = 2_000;
const LOOK_MS = 2_000;
/** Of the whole process, beyond what Node's heap is bound to. */
const MAX_RSS_BYTES = 700 * 1024 * 1024;
const MAX_WALLETS = 50;

/** `directory`: its own, which it removes. Resolves when its input has ended and the directory is gone. */
export async function playground(
  directory: string,
  input: NodeJS.ReadableStream,
  print: (line: string) => void,
): Promise<void> {
  if (!basename(directory).startsWith(DIRECTORY_PREFIX)) {
    throw new Error('The server runs this command by itself: see /admin/playground.');
  }
  // A parent that is gone reads nothing more. That is no reason to leave anything behind.
  for (const out of [process.stdout, process.stderr]) out.on('error', () => {});
  // A terminal sends it to all; the parent says when it is over.
  process.on('SIGINT', () => {});
  watchMemory();
  try {
    await work(directory, input, print);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function work(
  directory: string,
  input: NodeJS.ReadableStream,
  print: (line: string) => void,
): Promise<void> {
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) return;
  const spec = decodeSpec(first.value);
  await mkdir(join(directory, RESULTS), { mode: 0o700 });
  await using sandbox = await open(spec);
  const over = new AbortController();
  const say = (message: FromChild) => print(JSON.stringify(message));
  const tools = { ...sandbox, say, over: over.signal, results: new Results(directory) };
  say({ ready: true });
  const wallets = new Map<string, AgentWallet>();
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    const message = JSON.parse(next.value) as ToChild;
    void run(message, walletOf(wallets, message.wallet), tools);
  }
  over.abort();
}

interface Sandbox extends AsyncDisposable {
  url: string;
  gate: string;
}

async function open(spec: ReturnType<typeof decodeSpec>): Promise<Sandbox> {
  const gate = randomBytes(32).toString('base64url');
  const app: App = await createApp(configOf(spec), {
    admits: ({ headers }: IncomingMessage) => isSame(headers[GATE], gate),
  });
  const port = await app.listen();
  return {
    url: `http://127.0.0.1:${port}`,
    gate,
    // Nobody is left who would want to know how it went.
    [Symbol.asyncDispose]: async () => {
      await Promise.race([app.close().catch(() => {}), sleep(CLOSE_MS)]);
    },
  };
}

function isSame(given: string | string[] | undefined, right: string): boolean {
  const [one, other] = [Buffer.from(String(given)), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}

interface Tools extends Sandbox {
  say(message: FromChild): void;
  over: AbortSignal;
  results: Results;
}

async function run({ run: id, wanted }: ToChild, wallet: AgentWallet, tools: Tools): Promise<void> {
  const { url, gate, say, over, results } = tools;
  const signal = AbortSignal.any([over, AbortSignal.timeout(RUN_MS)]);
  const emit = (event: Extract<FromChild, { run: string }>['event']) => say({ run: id, event });
  const agent = new Agent({ id, url, gate, wallet, wanted, emit, signal, results });
  const error = await agent.run().catch((thrown: unknown) => {
    if (signal.aborted) return 'It took too long.';
    return thrown instanceof Error ? thrown.message : String(thrown);
  });
  emit({ type: 'end', error });
}

/** Each session has a wallet of its own, as long as this process lives. */
function walletOf(wallets: Map<string, AgentWallet>, name: string): AgentWallet {
  const wallet = wallets.get(name) ?? randomWallet();
  wallets.set(name, wallet);
  const oldest = wallets.keys().next();
  if (wallets.size > MAX_WALLETS && !oldest.done) wallets.delete(oldest.value);
  return wallet;
}

function watchMemory(): void {
  const timer = setInterval(() => {
    if (process.memoryUsage.rss() <= MAX_RSS_BYTES) return;
    process.stderr.write('It needs too much memory.');
    process.exit(1);
  }, LOOK_MS);
  timer.unref();
}

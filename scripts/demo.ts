/**
 * npm run demo: the whole product with play money, on a free port, in a temporary directory. It walks the way of an agent that
 * has a wallet and no account, says what happens, and fails when one figure is not exact.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Sandbox, startSandbox } from './demo/sandbox.ts';
import { type Story, tellStory } from './demo/story.ts';
import { WalletError } from './wallet/wallet-error.ts';

export const DEMO_HELP = `farebox demo [--keep] [--json]
Starts a sandbox on a free port and walks through a paid call. Exit code 1 when a figure is not exact; --keep stays up.`;

export interface DemoOptions {
  /** Stay up afterwards until the signal is aborted, and print requests to try. */
  keep: boolean;
  /** One line of JSON at the end instead of the telling. */
  json?: boolean;
  write(text: string): void;
  signal?: AbortSignal;
}

/** True when every figure was exact. */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const say = (text: string) => {
    if (!options.json) options.write(`${text}\n`);
  };
  const dataDir = await mkdtemp(join(tmpdir(), 'farebox-demo-'));
  const sandbox = await startSandbox(dataDir);
  try {
    say(`Farebox with play money, listening on ${sandbox.url}\n`);
    const story = await tellStory({ ...sandbox, dataDir, say }).catch((error: unknown) => {
      if (!(error instanceof WalletError)) throw error;
      // What the server refused belongs to what the demo finds out.
      return { checks: 0, faults: [error.message], figures: {} };
    });
    report(story, options, say);
    if (options.keep) await stayUp(sandbox, options);
    return story.faults.length === 0;
  } finally {
    await sandbox.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function report(story: Story, options: DemoOptions, say: (text: string) => void): void {
  if (options.json) {
    options.write(`${JSON.stringify({ ok: story.faults.length === 0, ...story })}\n`);
    return;
  }
  for (const fault of story.faults) say(`\nWRONG: ${fault}`);
  if (!story.faults.length) {
    say(`\nAll ${story.checks} figures are exact. Nothing here was real money.`);
  }
}

async function stayUp({ url, model }: Sandbox, { write, signal }: DemoOptions): Promise<void> {
  const json = `-H 'Content-Type: application/json'`;
  const chat = `{"model":"${model.id}","messages":[{"role":"user","content":"hello"}]}`;
  write(`
Still up. Try, from another terminal:

  curl -s ${url}/v1/models
  curl -si ${url}/v1/chat/completions ${json} -d '${chat}'
  curl -s -X POST '${url}/v1/x402/top-up?amount_usd=5'

Or with a wallet of your own:

  npm run wallet -- new
  npm run wallet -- topup 5 --url ${url}
  npm run wallet -- chat "hello" --url ${url}

Ctrl-C ends it.
`);
  await new Promise<void>((resolve) => {
    // An unreferenced promise would let the process end.
    const alive = setInterval(() => {}, 60_000);
    const end = () => {
      clearInterval(alive);
      resolve();
    };
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end, { once: true });
  });
}

/** The program as people run it: a process of its own, with nothing of this one's environment but the path. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const START_MS = 20_000;

export interface Finished {
  code: number | null;
  out: string;
  err: string;
  json: Record<string, unknown>;
}

export interface Running extends AsyncDisposable {
  url: string;
  port: number;
  /** Null where there is an operator. */
  claim: string | null;
  child: ChildProcess;
  err(): string;
  /** Sends the signal; the exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

function start(environment: Record<string, string>, args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, said, ended };
}

/** Runs a command to its end. */
export async function run(
  environment: Record<string, string>,
  ...args: string[]
): Promise<Finished> {
  const { said, ended } = start(environment, args);
  const code = await ended;
  const isJson = args.includes('--json') && said.out !== '';
  const json = (isJson ? JSON.parse(said.out) : {}) as Record<string, unknown>;
  return { code, ...said, json };
}

/** Starts the server and waits until it says where it answers. */
export async function serve(environment: Record<string, string>): Promise<Running> {
  const { child, said, ended } = start(environment, ['serve', '--json']);
  const deadline = Date.now() + START_MS;
  while (!said.out.includes('\n')) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`the server did not start: ${said.err}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const first = JSON.parse(said.out) as Pick<Running, 'url' | 'port' | 'claim'>;
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    ...first,
    child,
    err: () => said.err,
    end,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await end('SIGKILL');
    },
  };
}

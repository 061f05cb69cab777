/** Child processes of the bench: started with the same node, pinned to one CPU where taskset is there, measured through /proc. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;
const MAX_OUTPUT_CHARS = 20_000;
export const SERVER_CPU = 0;
export const LOAD_CPU = 1;

const hasTaskset = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0;
export const isPinned = hasTaskset;

export interface Child {
  process: ChildProcess;
  pid: number;
  output(): string;
  stop(): Promise<void>;
}

export interface ChildOptions {
  cpu: number;
  env?: Record<string, string>;
  wantsChannel?: boolean;
  cwd?: string;
  /** Flags of node itself. */
  nodeFlags?: string[];
}

/** Starts `node file args`; the program and what it prints are kept until stop. */
export function startNode(file: URL, args: string[], options: ChildOptions): Child {
  const pin = hasTaskset ? ['taskset', '-c', String(options.cpu)] : [];
  const [command = process.execPath, ...rest] = [
    ...pin,
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    ...(options.nodeFlags ?? []),
    fileURLToPath(file),
    ...args,
  ];
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe', ...(options.wantsChannel ? (['ipc'] as const) : [])],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let output = '';
  const keep = (bytes: Buffer) => {
    output = (output + bytes.toString()).slice(-MAX_OUTPUT_CHARS);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(String(error))));
  return { process: child, pid: child.pid ?? 0, output: () => output, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}

/** Waits for a line "port N" of a program that prints one. */
export async function portOf(child: Child): Promise<number> {
  const port = await waitFor(child, async () => /^port (\d+)$/m.exec(child.output())?.[1]);
  return Number(port);
}

/** Waits until GET path answers 200. */
export async function healthy(child: Child, port: number, path: string): Promise<void> {
  await waitFor(child, async () => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null);
    await answer?.body?.cancel();
    return answer?.ok ? true : undefined;
  });
}

async function waitFor<T>(child: Child, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (child.process.exitCode !== null || Date.now() > deadline) {
      throw new Error(`a server of the bench did not start:\n${child.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** CPU time of all threads of a process, in microseconds: nanosecond counters of the scheduler, else ticks of 10 ms. */
export function cpuMicros(pid: number): number {
  try {
    let total = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const line = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
      total += Number(line.split(' ')[0]) / 1_000;
    }
    return total;
  } catch {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  }
}

/** Resident memory in MB, now and at its highest. */
export function memoryMb(pid: number): { now: number; highest: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return { now: kb('VmRSS') / 1_024, highest: kb('VmHWM') / 1_024 };
}

/** Starts the program again as a child that lives no longer than its parent: it ends with its standard input. */
import { spawn } from 'node:child_process';
import type { Environment } from '../config/environment.ts';
import { MAX_LINE_CHARS } from './protocol.ts';

export interface Spawned {
  write(line: string): void;
  /** Ends its standard input, which ends it. */
  end(): void;
  kill(): void;
}

export interface SpawnedEvents {
  line(text: string): void;
  /** Once, whatever happened; `complaint`: the end of what it said on standard error. */
  exit(complaint: string): void;
}

export type SpawnSelf = (args: readonly string[], on: SpawnedEvents) => Spawned;

export interface Program {
  file: string;
  /** What stands before the command: the script, where the file is Node itself. */
  own: readonly string[];
  environment: Environment;
}

/** The child needs no more of the parent's variables than these, and the others may be secrets. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'LD_LIBRARY_PATH',
  'NODE_COMPILE_CACHE',
  // Where the single binary has unpacked its program.
  'DATA_DIR',
];
const MAX_HEAP_MB = 256;
const MAX_COMPLAINT = 2_000;

export function spawner({ file, own, environment }: Program): SpawnSelf {
  return (args, on) => {
    const passed = PASSED_ON.flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    const child = spawn(file, [...own, ...args], {
      // The variable is read by the single binary, too; an argument is not.
      env: { ...Object.fromEntries(passed), NODE_OPTIONS: `--max-old-space-size=${MAX_HEAP_MB}` },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let complaint = '';
    let rest = '';
    let hasEnded = false;
    const ended = () => {
      if (!hasEnded) on.exit(complaint);
      hasEnded = true;
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) on.line(line);
      if (rest.length > MAX_LINE_CHARS) child.kill('SIGKILL');
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaint = (complaint + chunk).slice(-MAX_COMPLAINT);
    });
    // A child that is gone reads nothing more; its exit says so.
    child.stdin.on('error', () => {});
    child.once('error', (error) => {
      complaint ||= error.message;
      ended();
    });
    child.once('close', ended);
    return {
      write: (line) => void child.stdin.write(`${line}\n`),
      end: () => void child.stdin.end(),
      kill: () => void child.kill('SIGKILL'),
    };
  };
}

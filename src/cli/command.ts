/** What every subcommand is given, so that main.ts alone touches the process; and how what goes wrong is said. */
import type { RunSelf } from '../backup/schedule.ts';
import type { ConfigError } from '../config/fault.ts';
import type { Environment } from '../config/environment.ts';
import { AppError } from '../errors.ts';
import type { SpawnSelf } from '../playground/spawn.ts';

export interface Command {
  arguments: string[];
  environment: Environment;
  /** The same as it is now: what the set-up page keeps may have changed. */
  environmentNow(): Promise<Environment>;
  cwd: string;
  pid: number;
  /** Runs a command of this program in a process of its own; see backup/schedule.ts. */
  runSelf: RunSelf;
  /** Starts one that lives no longer than this process; see playground/spawn.ts. */
  spawnSelf: SpawnSelf;
  /** A line for people or programs, on standard output. */
  print(line: string): void;
  /** A log line, on standard error. */
  log(line: string): void;
}

/** A mistake in how the command was called; its text is all that is shown. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Explanation {
  text: string;
  json: { error: { code: string; message: string; faults?: ConfigError['faults'] } };
}

export function explain(error: unknown): Explanation {
  const message = error instanceof Error ? error.message : String(error);
  const faults = faultsOf(error);
  return { text: message, json: { error: { code: codeOf(error), message, ...faults } } };
}

function codeOf(error: unknown): string {
  if (error instanceof AppError) return error.code;
  if (isUsage(error)) return 'usage';
  return faultsOf(error) ? 'config' : 'failed';
}

/** By name: the configuration's code is not loaded by commands that do without it. */
function faultsOf(error: unknown): { faults: ConfigError['faults'] } | null {
  if (!(error instanceof Error) || error.name !== 'ConfigError') return null;
  return { faults: (error as ConfigError).faults };
}

/** Ours, or what node:util's parseArgs throws for an option that it does not know. */
function isUsage(error: unknown): boolean {
  if (error instanceof UsageError) return true;
  const code: unknown = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_');
}

/** 2 for a wrong call, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  return isUsage(error) ? 2 : 1;
}

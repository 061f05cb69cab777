/** What every subcommand is given, so that main.ts alone touches the process. */
import type { Environment } from '../config/environment.ts';

export interface Command {
  arguments: string[];
  environment: Environment;
  cwd: string;
  pid: number;
  /** A line for people, on standard output. */
  print(line: string): void;
  /** A log line, on standard error. */
  log(line: string): void;
}

/** A mistake in how the command was called; its text is all that is shown. */
export class UsageError extends Error {}

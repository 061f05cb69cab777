/** The playground's one child process, as its parent sees it: a directory of its own, which goes with it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { FromChild, RunEvent, ToChild } from './protocol.ts';
import type { SpawnSelf, Spawned } from './spawn.ts';
import { encodeSpec, type Spec } from './spec.ts';

export interface ChildEvents {
  event(run: string, event: RunEvent): void;
  /** It is gone, and nothing more will come; `complaint` is empty where it was ended. */
  gone(complaint: string): void;
}

/** The command of the program that it runs. */
export const PLAYGROUND_COMMAND = 'playground';
/** Of its directory's name: it removes nothing that is called otherwise. */
export const DIRECTORY_PREFIX = 'farebox-playground-';
/** A second or two on a machine that has nothing else to do. */
const START_MS = 60_000;
const END_MS = 5_000;

export class Child {
  readonly directory: string;
  readonly #process: Spawned;
  readonly #gone: Promise<void>;
  #isEnding = false;

  private constructor(directory: string, process: Spawned, gone: Promise<void>) {
    this.directory = directory;
    this.#process = process;
    this.#gone = gone;
  }

  /** Resolves when it takes runs. Errors: unavailable, with what it said, or once `signal` fires. */
  static async start(
    spawn: SpawnSelf,
    specIn: (dataDir: string) => Spec,
    on: ChildEvents,
    signal: AbortSignal,
  ): Promise<Child> {
    const directory = await mkdtemp(join(tmpdir(), DIRECTORY_PREFIX));
    const ready = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const process = spawn([PLAYGROUND_COMMAND, directory], {
      line: (text) => {
        const said = read(text);
        if (said && 'ready' in said) ready.resolve();
        else if (said) on.event(said.run, said.event);
      },
      exit: (complaint) => {
        ready.reject(notStarted(complaint));
        void rm(directory, { recursive: true, force: true })
          .catch(() => {})
          .then(gone.resolve);
        on.gone(child.#isEnding ? '' : complaint || 'It ended by itself.');
      },
    });
    const child = new Child(directory, process, gone.promise);
    process.write(encodeSpec(specIn(directory)));
    signal.addEventListener('abort', () => ready.reject(notStarted('It was ended.')), {
      once: true,
    });
    if (signal.aborted) ready.reject(notStarted('It was ended.'));
    const timer = setTimeout(() => ready.reject(notStarted('It does not answer.')), START_MS);
    try {
      await ready.promise;
    } catch (error) {
      await child.end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return child;
  }

  send(message: ToChild): void {
    this.#process.write(JSON.stringify(message));
  }

  /** Resolves when it and its directory are gone. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#process.end();
    const timer = setTimeout(() => this.#process.kill(), END_MS);
    await this.#gone;
    clearTimeout(timer);
  }
}

function notStarted(complaint: string): AppError {
  const said = complaint.trim().slice(-500);
  return new AppError('unavailable', `The playground's sandbox did not start. ${said}`.trim());
}

function read(line: string): FromChild | null {
  try {
    return JSON.parse(line) as FromChild;
  } catch {
    return null;
  }
}

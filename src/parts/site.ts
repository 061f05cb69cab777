/** What the operator's site may do with the settings and with the process that it runs in. */
import type { RunSelf } from '../backup/schedule.ts';
import type { Catalogue } from '../catalogue.ts';
import type { Clock } from '../clock.ts';
import type { Reloaded } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import type { Store } from '../ledger/store.ts';
import type { Upkeep } from '../operator/upkeep.ts';
import type { Log } from '../log.ts';
import { Playground } from '../playground/playground.ts';
import type { SpawnSelf } from '../playground/spawn.ts';
import { Setup } from '../setup/setup.ts';

/** Of the process; absent where the server is part of something else. */
export interface SiteTools {
  environment: Environment;
  cwd: string;
  /** Reads the settings again and takes them into use; `actor`: for the log of changes. Throws, and changes nothing, where they are wrong. */
  apply(actor: string): Promise<Reloaded>;
  runSelf: RunSelf;
  /** What else the process does; nothing where it is left out. */
  upkeep?: Upkeep;
  spawnSelf: SpawnSelf;
  /** See Playground. */
  playgroundIdleMs?: number;
}

/** Runs the demo in a process of its own; null where this one cannot start any. */
export type SelfTest = (() => Promise<{ isGood: boolean; lines: string }>) | null;

export interface SiteParts {
  store: Store;
  catalogue: Catalogue;
  clock: Clock;
  log: Log;
  tools: SiteTools | undefined;
}

export interface Site {
  playground: Playground;
  setup: Setup;
  selfTest: SelfTest;
}

/** `live`: see liveConfig. */
export function createSite(live: Config, { store, catalogue, clock, log, tools }: SiteParts): Site {
  const { ledger, masterKey } = store;
  const { environment = {}, cwd = live.dataDir, apply = null } = tools ?? {};
  const spawn = tools?.spawnSelf ?? null;
  const idleMs = tools?.playgroundIdleMs;
  // One for all reloads, so that saves take turns.
  const setup = new Setup({ ledger, masterKey, clock, config: live, environment, cwd, apply });
  const playground = new Playground({ config: live, catalogue, clock, log, spawn, idleMs });
  return { playground, setup, selfTest: tools ? () => selfTest(tools.runSelf) : null };
}

/** The demo has a directory, a port and play money of its own. */
async function selfTest(runSelf: RunSelf): Promise<{ isGood: boolean; lines: string }> {
  const { code, out, complaint } = await runSelf(['demo'], {});
  return { isGood: code === 0, lines: [out, complaint].filter(Boolean).join('\n').trim() };
}

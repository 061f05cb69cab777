/** What the operator's site may do with the settings and with the process that it runs in. */
import type { RunSelf } from '../backup/schedule.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import type { Store } from '../ledger/store.ts';
import { Setup } from '../setup/setup.ts';

/** Of the process; absent where the server is part of something else. */
export interface SiteTools {
  environment: Environment;
  cwd: string;
  /** Takes settings that were saved into use. */
  apply(): Promise<void>;
  runSelf: RunSelf;
}

/** Runs the demo in a process of its own; null where this one cannot start any. */
export type SelfTest = (() => Promise<{ isGood: boolean; lines: string }>) | null;

export function createSite(
  config: Config,
  { store, clock, tools }: { store: Store; clock: Clock; tools: SiteTools | undefined },
): { setup: Setup; selfTest: SelfTest } {
  const { ledger, masterKey } = store;
  const { environment = {}, cwd = config.dataDir, apply = null } = tools ?? {};
  const setup = new Setup({ ledger, masterKey, clock, config, environment, cwd, apply });
  return { setup, selfTest: tools ? () => selfTest(tools.runSelf) : null };
}

/** The demo has a directory, a port and play money of its own. */
async function selfTest(runSelf: RunSelf): Promise<{ isGood: boolean; lines: string }> {
  const { code, out, complaint } = await runSelf(['demo'], {});
  return { isGood: code === 0, lines: [out, complaint].filter(Boolean).join('\n').trim() };
}

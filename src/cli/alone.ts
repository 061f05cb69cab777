/** A command where no server runs: the data directory is opened, and locked, for it alone. */
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { type ControlRequest, runControl } from '../control.ts';
import { openStore } from '../ledger/store.ts';
import { silentLog } from '../log.ts';

export async function alone(
  config: Config,
  pid: number,
  request: ControlRequest,
): Promise<unknown> {
  const store = await openStore({
    dataDir: config.dataDir,
    mode: config.mode,
    masterKey: config.secrets.masterKey,
    newMasterKey: config.secrets.newMasterKey,
    clock: systemClock,
    log: silentLog,
    pid,
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    return await runControl(store, request);
  } finally {
    await store.close();
  }
}

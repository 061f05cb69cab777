/** `serve`: the server itself, until a signal or a failed storage ends it. */
import { createApp } from '../app.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { startControl } from '../control.ts';
import { createLog } from '../log.ts';
import type { Command } from './command.ts';

export const SERVE_HELP = `farebox serve
Serves until SIGTERM or SIGINT, then ends what is under way and exits 0. Settings: see README.md.`;

export interface Serving {
  url: string;
  close(): Promise<void>;
}

export async function serve(command: Command, onFatal: (error: unknown) => void): Promise<Serving> {
  const config = loadConfig(command.environment, { cwd: command.cwd });
  const log = createLog(
    config.logLevel,
    (line) => command.log(line),
    () => systemClock.nowMs(),
  );
  const app = await createApp(config, { log, pid: command.pid, onFatal });
  const control = await startControl(config.dataDir, app.store, log);
  const port = await app.listen();
  return {
    url: config.server.publicUrl ?? `http://${config.server.host}:${port}`,
    close: async () => {
      log.info('stopping');
      await control?.close();
      await app.close();
      log.info('stopped');
    },
  };
}

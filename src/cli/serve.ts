/** `serve`: the server itself, until a signal or a failed storage ends it. */
import { isIPv6 } from 'node:net';
import { parseArgs } from 'node:util';
import { type App, createApp } from '../app.ts';
import { BackupSchedule } from '../backup/schedule.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { startControl } from '../control.ts';
import { createLog, type Log } from '../log.ts';
import type { Command } from './command.ts';

export const SERVE_HELP = `farebox serve [--json]
Serves until SIGTERM or SIGINT, then ends what is under way and exits 0. SIGHUP reads models, prices and channels again. Settings: see README.md and config/example.env.
  --json    say where it answers as JSON`;

export interface Serving {
  /** Reads the settings again; where they are wrong, the old ones stay. */
  reload(): void;
  close(): Promise<void>;
}

export async function serve(command: Command, onFatal: (error: unknown) => void): Promise<Serving> {
  const { values } = parseArgs({
    args: command.arguments,
    options: { json: { type: 'boolean', default: false } },
  });
  const config = loadConfig(command.environment, { cwd: command.cwd });
  const log = createLog(
    config.logLevel,
    (line) => command.log(line),
    () => systemClock.nowMs(),
  );
  await using started = new AsyncDisposableStack();
  const app = await createApp(config, { log, pid: command.pid, onFatal });
  started.defer(() => app.close());
  const { runSelf } = command;
  const backups = new BackupSchedule({ config: config.backups, runSelf, clock: systemClock, log });
  backups.start();
  started.defer(() => backups.stop());
  const control = await startControl(config.dataDir, app.store, log);
  if (control) started.use(control);
  const port = await app.listen();
  const url = app.url || `http://${hostIn(config)}:${port}`;
  const { mode } = config;
  if (values.json) command.print(JSON.stringify({ url, port, mode, pid: command.pid }));
  else command.print(`Farebox answers at ${url}${mode === 'sandbox' ? ', with play money' : ''}`);
  const code = await app.sessions.offerClaim();
  // Where nobody runs the shop yet. The link works once, and is in no log line of ours.
  if (code !== null && !values.json)
    command.print(`Claim it, once and within a day: ${claimUrl(config, port, code)}`);
  const running = started.move();
  return {
    reload: () => reload(app, command, log),
    close: async () => {
      log.info('stopping');
      await running.disposeAsync();
      log.info('stopped');
    },
  };
}

function claimUrl({ server }: Config, port: number, code: string): string {
  const origin = server.publicUrl?.startsWith('https:')
    ? server.publicUrl
    : `http://127.0.0.1:${port}`;
  return `${origin}/admin/claim/${code}`;
}

function reload(app: App, command: Command, log: Log): void {
  try {
    const next = loadConfig(command.environment, { cwd: command.cwd });
    const needsRestart = app.reload(next);
    log.info('reloaded', { models: next.models.length, channels: next.channels.length });
    if (needsRestart.length) log.warn('restart_to_apply', { changed: needsRestart.join(', ') });
  } catch (error) {
    log.error('not_reloaded', { error });
  }
}

function hostIn({ server: { host } }: Config): string {
  return isIPv6(host) ? `[${host}]` : host;
}

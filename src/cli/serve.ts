/** `serve`: the server itself, until a signal or a failed storage ends it. */
import { isIPv6 } from 'node:net';
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { createLog, type Log } from '../log.ts';
import type { Tracing } from '../traces/start.ts';
import type { Command } from './command.ts';
import { Shop } from './shop.ts';

export const SERVE_HELP = `farebox serve [--json]
Serves until SIGTERM or SIGINT, then ends what is under way and exits 0. SIGHUP reads them again without dropping a request. Settings: see README.md and config/example.env.
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
  const tracing = await tracesOf(command, log);
  const shop = new Shop(command, log, onFatal);
  const port = await shop.open(config);
  const { app } = shop;
  const url = app.url || `http://${hostIn(config)}:${port}`;
  const { mode } = config;
  const code = await app.sessions.offerClaim();
  // Where nobody runs the shop yet. The link works once, and is in no log line of ours.
  const claim = code === null ? null : claimUrl(config, app.adminPort ?? port, code);
  if (values.json) command.print(JSON.stringify({ url, port, mode, pid: command.pid, claim }));
  else {
    command.print(`Farebox answers at ${url}${mode === 'sandbox' ? ', with play money' : ''}`);
    if (claim !== null) command.print(`Claim it, once and within a day: ${claim}`);
  }
  return {
    // What went wrong is in the log.
    reload: () => void shop.reload('SIGHUP').catch(() => {}),
    close: async () => {
      log.info('stopping');
      await shop.close();
      await tracing?.close();
      log.info('stopped');
    },
  };
}

/** Loaded only where somebody asks for them. */
async function tracesOf({ environment }: Command, log: Log): Promise<Tracing | null> {
  if (!Object.keys(environment).some((name) => name.startsWith('OTEL_EXPORTER_OTLP_'))) return null;
  const { startTracing } = await import('../traces/start.ts');
  return startTracing(environment, log);
}

function claimUrl({ server }: Config, port: number, code: string): string {
  const { publicUrl, adminListen } = server;
  const isPublic = adminListen === null && publicUrl?.startsWith('https:');
  const origin = isPublic ? publicUrl : `http://127.0.0.1:${port}`;
  return `${origin}/admin/claim/${code}`;
}

function hostIn({ server: { host } }: Config): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/** Other settings while the server runs: everything that can fail is done beside what is in use, then all of it is exchanged at once. */
import { audit } from '../audit.ts';
import { changesOf, type Reloaded } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import { takeable } from '../config/live.ts';
import { AppError } from '../errors.ts';
import type { Front } from '../http/front.ts';
import type { HttpServer } from '../http/server.ts';
import type { Log } from '../log.ts';
import type { Gate } from './gate.ts';
import { type Parts, takeOver } from './parts.ts';

/** New networks are asked that long whether they work, so that they are offered from the first moment on. */
const NEW_RAILS_WAIT_MS = 5_000;

/** In force. */
export interface InForce {
  config: Config;
  front: Front;
}

export interface ReloadOptions {
  parts: Parts;
  /** What the parts were made with. */
  live: Config;
  now: InForce;
  make(config: Config): Front;
  http: HttpServer;
  gate: Gate;
  log: Log;
}

/** See App.reload. One at a time. */
export function reloads(
  options: ReloadOptions,
): (next: Config, actor: string) => Promise<Reloaded> {
  let last: Promise<unknown> = Promise.resolve();
  return (next, actor) => {
    const turn = last.then(() => reload(options, next, actor));
    last = turn.catch(() => {});
    return turn;
  };
}

async function reload(options: ReloadOptions, next: Config, actor: string): Promise<Reloaded> {
  const { parts, live, now, make, http, gate, log } = options;
  const { payments, rails, networks, store } = parts;
  requireSamePlace(now.config, next);
  requireSomethingToSell(now.config, next);
  const { config, needsRestart } = takeable(now.config, next);
  const nextRails = await rails.prepare(config.payments.networks);
  await atMost(payments.look(nextRails.added), NEW_RAILS_WAIT_MS);
  // Before anything can be begun there.
  await networks.keep(config.payments.networks);
  const changes = changesOf(now.config, config);
  // Nothing waits from here to the end: no request sees some of the old settings and some of the new.
  takeOver(parts, live, config);
  nextRails.exchange();
  gate.adjust(config);
  Object.assign(now, { config, front: make(config) });
  http.adjust();
  http.use(now.front);
  payments
    .takeUp(nextRails.added)
    .catch((error: unknown) => log.error('payments_not_taken_up', { error }));
  const detail = { changes, needsRestart };
  // What is in force is in force, whether or not there is room to write it down.
  await store.ledger
    .write((tx) => audit(tx, { actor, action: 'settings.reload', target: 'settings', detail }))
    .catch((error: unknown) => log.error('reload_not_logged', { actor, ...detail, error }));
  return { changes, needsRestart };
}

/** Play money and real money share no process, and a data directory is locked by one. */
function requireSamePlace(config: Config, next: Config): void {
  const names = [
    ...(config.mode === next.mode ? [] : ['SANDBOX']),
    ...(config.dataDir === next.dataDir ? [] : ['DATA_DIR']),
  ];
  if (!names.length) return;
  throw new AppError(
    'state_conflict',
    `${names.join(' and ')} cannot change while the server runs. Nothing was taken over: restart it.`,
  );
}

/** A settings file that is being written is empty for a moment, or lacks its end. */
function requireSomethingToSell(config: Config, next: Config): void {
  if (config.channels.length === 0 || next.channels.length > 0) return;
  throw new AppError(
    'state_conflict',
    'These settings have no channel, so nothing would be sold. Nothing was taken over: to stop selling, turn channels off or stop the server.',
  );
}

/** Resolves when `work` does, or after `ms`; the work goes on. */
export async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  const timer = Promise.withResolvers<void>();
  const timeout = setTimeout(timer.resolve, ms);
  await Promise.race([work, timer.promise]);
  clearTimeout(timeout);
}

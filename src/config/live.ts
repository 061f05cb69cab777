/**
 * Settings of parts that outlive a reload: they hold this object, or a section of it, and read it whenever they use it. What belongs to a
 * request holds the Config that it began with, which never changes.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.ts';

export function liveConfig(config: Config): Config {
  const { payments, limits, media } = config;
  return { ...config, payments: { ...payments }, limits: { ...limits }, media: { ...media } };
}

/** All at once: nothing sees some of the old and some of the new. */
export function takeInto(live: Config, next: Config): void {
  const { payments, limits, media } = live;
  Object.assign(payments, next.payments);
  Object.assign(limits, next.limits);
  Object.assign(media, next.media);
  Object.assign(live, next, { payments, limits, media });
}

/** What a process keeps as it began: what a reader may call it, and whether two settings differ in it. */
const FIXED: readonly [name: string, of: (config: Config) => unknown][] = [
  ['HOST', ({ server }) => server.host],
  ['PORT', ({ server }) => server.port],
  ['server.admin_listen', ({ server }) => server.adminListen],
  ['LOG_LEVEL', ({ logLevel }) => logLevel],
  ['FAREBOX_ADMIN_KEY', ({ secrets }) => secrets.adminKey],
  ['FAREBOX_MASTER_KEY', ({ secrets }) => secrets.masterKey],
  ['FAREBOX_NEW_MASTER_KEY', ({ secrets }) => secrets.newMasterKey],
  ['SANDBOX_DELAY_MS, SANDBOX_FAILURE_RATE', ({ demo }) => demo],
];

/** Settings as they can be taken over while the process runs; `needsRestart` names what stays as it is. */
export function takeable(
  config: Config,
  next: Config,
): { config: Config; needsRestart: readonly string[] } {
  const { host, port, adminListen } = config.server;
  const { logLevel, secrets, demo } = config;
  const needsRestart = FIXED.filter(([, of]) => !isDeepStrictEqual(of(config), of(next))).map(
    ([name]) => name,
  );
  const server = { ...next.server, host, port, adminListen };
  return {
    config: { ...next, server, logLevel, secrets, ...(demo && { demo }) },
    needsRestart,
  };
}

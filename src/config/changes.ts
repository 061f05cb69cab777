/** What a reload changes, in words for people. Names only: no line holds a value that may be a secret. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.ts';

/** What came of reading the settings again. */
export interface Reloaded {
  /** In words; empty where nothing changed. */
  changes: readonly string[];
  /** What changed and stays as it was until a restart, by its name. */
  needsRestart: readonly string[];
}

/** Names in one line; the rest is counted. */
const MOST_NAMES = 12;

/** Of blocks without names of their own; each with what the file calls it. */
const BLOCKS: readonly [name: string, of: (config: Config) => unknown][] = [
  ['server', ({ server }) => server],
  ['payments', ({ payments }) => ({ ...payments, networks: null })],
  ['siwx', ({ siwx }) => siwx],
  ['limits', ({ limits }) => limits],
  ['credits', ({ creditUsd }) => creditUsd],
  ['byok', ({ byok }) => byok],
  ['media', ({ media }) => media],
  ['webhooks', ({ webhooks }) => webhooks],
  ['backups', ({ backups }) => backups],
  ['fashion', ({ presets }) => presets],
];

/** Empty where nothing changed. */
export function changesOf(before: Config, after: Config): string[] {
  const models = (config: Config) => named(config.models, ({ id }) => id);
  const prices = (config: Config) =>
    new Map(config.models.map(({ id, price }) => [id, price as unknown]));
  const channels = (config: Config) => named(config.channels, ({ id }) => id);
  const networks = (config: Config) => named(config.payments.networks, ({ network }) => network);
  const priced = changed(prices(before), prices(after));
  const model = compared('Models', models(before), models(after), priced);
  const blocks = BLOCKS.filter(([, of]) => !isDeepStrictEqual(of(before), of(after)));
  return [
    ...model,
    ...line('Prices changed', priced),
    ...compared('Channels', channels(before), channels(after)),
    ...compared('Networks', networks(before), networks(after)),
    ...line(
      'Settings changed',
      blocks.map(([name]) => name),
    ),
  ];
}

function named<T>(list: readonly T[], nameOf: (one: T) => string): Map<string, unknown> {
  return new Map(list.map((one) => [nameOf(one), one]));
}

/** `told`: changes that another line tells. */
function compared(
  what: string,
  before: Map<string, unknown>,
  after: Map<string, unknown>,
  told: readonly string[] = [],
): string[] {
  const gone = [...before.keys()].filter((name) => !after.has(name));
  const added = [...after.keys()].filter((name) => !before.has(name));
  const others = changed(before, after).filter((name) => !told.includes(name));
  return [
    ...line(`${what} added`, added),
    ...line(`${what} removed`, gone),
    ...line(`${what} changed`, others),
  ];
}

function changed(before: Map<string, unknown>, after: Map<string, unknown>): string[] {
  return [...after.keys()].filter(
    (name) => before.has(name) && !isDeepStrictEqual(before.get(name), after.get(name)),
  );
}

function line(what: string, names: readonly string[]): string[] {
  if (!names.length) return [];
  const more = names.length - MOST_NAMES;
  const shown = names.slice(0, MOST_NAMES).join(', ');
  return [`${what}: ${shown}${more > 0 ? ` and ${more} more` : ''}`];
}

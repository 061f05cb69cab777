/** Environment + settings file -> one Config, or one ConfigError that names every fault. Asks neither net nor chain. */
import { parseUsd, ZERO_USD } from '../money.ts';
import { markedUp, shippedModels } from './catalogue.ts';
import { readChannels } from './channels.ts';
import type { ChannelConfig, Config, Mode, ModelConfig } from './config.ts';
import {
  checkDatabaseUrl,
  checkNames,
  type Environment,
  readDataDir,
  readListen,
  readLogLevel,
  readMode,
  readSecrets,
  text,
} from './environment.ts';
import { Faults } from './fault.ts';
import { fillVariables, findFile, parseFile, type ReadFile, readText } from './file.ts';
import { readBackups } from './backups.ts';
import { readMedia, readWebhooks } from './media.ts';
import { readModels } from './models.ts';
import { readNetworks } from './networks.ts';
import { readAmounts } from './payments.ts';
import { readPresets, shippedPresets } from './presets.ts';
import type { RawFile } from './raw.ts';
import { demoChannels, readDemo } from './sandbox.ts';
import { applySchema } from './schema.ts';
import { checkServed } from './served.ts';
import { readLimits, readServer, readSiwx } from './server.ts';
import { folderOf, withTasks } from './tasks.ts';
import { channelsFrom, checkRpcNames, networksFrom } from './zero.ts';

export { ConfigError } from './fault.ts';

export interface LoadOptions {
  /** Relative paths start here. */
  cwd: string;
  /** Like readFileSync(path, 'utf8'), its errors included. */
  readFile?: ReadFile;
}

/** Throws ConfigError. Reads at most the settings file and the shipped catalogue. */
export function loadConfig(environment: Environment, options: LoadOptions): Config {
  const faults = new Faults();
  const notes: string[] = [];
  const mode = readMode(environment, faults);
  const dataDir = readDataDir(environment, options.cwd, faults);
  const readFile = options.readFile ?? readText;
  const file = findFile(environment, { cwd: options.cwd, dataDir, readFile }, faults);
  const written = file === null ? {} : parseFile(file, faults);
  const folder = folderOf(file, options.cwd);
  const given = withTasks(written, { folder, readFile }, faults);
  const data = completed(given, { mode, environment, faults, notes });
  const payments = data['payments'];
  const givenAmounts = new Set(
    typeof payments === 'object' && payments !== null ? Object.keys(payments) : [],
  );
  const raw = applySchema(data, faults);

  checkNames(environment, faults);
  checkRpcNames(environment, faults);
  checkDatabaseUrl(environment, faults);
  const { channels, models } = readOffer(raw, faults);
  const networks = readNetworks(raw.payments.networks ?? [], mode, environment, faults);
  const listen = readListen(environment, faults);
  const config: Config = {
    mode,
    server: readServer(raw.server, listen, faults),
    dataDir,
    logLevel: readLogLevel(environment, faults),
    secrets: readSecrets(environment, faults),
    payments: { ...readAmounts(raw.payments, givenAmounts, faults), networks },
    siwx: readSiwx(raw.siwx, faults),
    channels,
    models,
    presets: readPresets(raw.fashion ?? [], models, faults),
    limits: readLimits(raw.limits),
    creditUsd: readCredit(raw, faults),
    media: readMedia(raw, faults),
    backups: readBackups(raw, dataDir, faults),
    webhooks: readWebhooks(raw, { mode, host: listen.host }, faults),
    ...(mode === 'sandbox' && { demo: readDemo(environment, faults) }),
    byok: { percent: raw.byok.fee_percent, perRequest: parseUsd(raw.byok.fee_usd_per_request) },
    origin: { file: file?.path ?? null, isFileFixed: file?.isFixed ?? false, notes },
  };
  faults.check();
  addNotes(config, notes);
  return config;
}

interface Completing {
  mode: Mode;
  environment: Environment;
  faults: Faults;
  notes: string[];
}

/** The file with its variables filled in, and what it leaves out made from the environment. */
function completed(given: Record<string, unknown>, context: Completing): Record<string, unknown> {
  const { mode, environment, faults, notes } = context;
  // The sandbox ignores real channels, so their keys need not be there.
  const used =
    mode === 'sandbox'
      ? { ...given, channels: demoChannels(), models: undefined, fashion: undefined }
      : given;
  const data = fillVariables(used, environment, faults);
  const publicUrl = text(environment, 'PUBLIC_URL');
  if (publicUrl !== null) {
    faults.madeFrom(['server', 'public_url'], 'PUBLIC_URL');
    data['server'] = withSetting(data['server'], 'public_url', publicUrl);
  }
  const payments = data['payments'] ?? {};
  if (typeof payments === 'object' && !('networks' in payments)) {
    const networks = networksFrom(environment, mode, faults, notes);
    data['payments'] = withSetting(payments, 'networks', networks);
  }
  data['channels'] ??= channelsFrom(environment, faults);
  data['models'] ??= markedUp(shippedModels(mode, data['channels'], faults), data['catalogue']);
  data['fashion'] ??= shippedPresets(data['models'], faults);
  return data;
}

function withSetting(block: unknown, name: string, value: unknown): unknown {
  // What is no block at all is left for the schema to refuse.
  const isBlock =
    block === undefined || (typeof block === 'object' && block !== null && !Array.isArray(block));
  return isBlock ? { ...block, [name]: value } : block;
}

function readOffer(
  raw: RawFile,
  faults: Faults,
): { channels: ChannelConfig[]; models: ModelConfig[] } {
  const rawChannels = raw.channels ?? [];
  const isWhole = rawChannels.every((channel) => channel?.id !== undefined);
  const ids = isWhole ? new Set(rawChannels.map((channel) => channel?.id ?? '')) : null;
  const channels = readChannels(rawChannels, faults);
  const known = { channelIds: ids, tiers: new Set(Object.keys(raw.limits.rates)) };
  const models = readModels(raw.models ?? [], known, faults);
  checkServed(models, channels, faults);
  return { channels, models };
}

function readCredit(raw: RawFile, faults: Faults): Config['creditUsd'] {
  const credit = parseUsd(raw.credits.credit_usd);
  if (credit === ZERO_USD) faults.add(['credits', 'credit_usd'], 'must be more than 0');
  return credit;
}

/** What works, but hardly as meant. */
function addNotes({ mode, server, channels, models, payments }: Config, notes: string[]): void {
  if (channels.length === 0)
    notes.push('no channel: set OPENAI_API_KEY, or list channels in the file');
  else if (models.length === 0) notes.push('no model is for sale: list models in the file');
  if (payments.networks.length === 0)
    notes.push('no network: nobody can pay; set PAY_TO_EVM or PAY_TO_SOLANA, and a way to settle');
  for (const { id, price } of models) {
    if (price.rules.length > 0 && price.rules.every((rule) => /^0(\.0*)?$/.test(rule.usd)))
      notes.push(`the model ${id} is free: all its prices are 0`);
  }
  const silent = new Set(
    channels.filter(({ reportedCost }) => reportedCost === null).map(({ id }) => id),
  );
  for (const { id, type, price, routes } of models) {
    const isText = type === 'text' || type === 'embedding';
    const route = routes.find(({ channel }) => silent.has(channel));
    if (isText && price.upstream && !price.rules.length && route) {
      notes.push(
        `the model ${id} costs what its upstream says, and the channel ${route.channel} says nothing (reported_cost): give its price rules, too`,
      );
    }
  }
  const isLoopback = /^(localhost|127\.|::1$)/.test(server.host);
  if (mode === 'live' && server.publicUrl === null && !isLoopback) {
    notes.push('PUBLIC_URL is not set: off loopback, paid routes answer 503 not_configured');
  }
}

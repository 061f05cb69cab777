/** From environment and YAML to one Config, or one ConfigError that says everything that is wrong. */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import type { LogLevel } from '../log.ts';
import { ZERO_USD, type NanoUsd, nanoUsd, parseUsd } from '../money.ts';
import type { Config, LimitsConfig, PaymentsConfig, ServerConfig, SiwxConfig } from './config.ts';
import { Faults } from './faults.ts';
import { type Environment, type FileConfig, readFile } from './file.ts';
import { channelConfigs, modelConfigs, shippedModels } from './models.ts';
import { networkConfigs } from './networks.ts';
import { checkOrigin } from './urls.ts';

export { ConfigError } from './faults.ts';

export interface LoadOptions {
  /** Where relative paths start; the current directory. */
  cwd: string;
}

const SHIPPED = new URL('../../config/', import.meta.url).pathname;
const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error'];

const LIMITS: LimitsConfig = {
  bodyBytes: 20 * 1024 * 1024,
  headerBytes: 16 * 1024,
  upstreamBodyBytes: 64 * 1024 * 1024,
  sseLineBytes: 1024 * 1024,
  connections: 10_000,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 30_000,
  drainMs: 25_000,
};

/** `environment` is process.env or a test's own. Reads the file that FAREBOX_CONFIG names, else the first of the usual places. */
export function loadConfig(environment: Environment, options: LoadOptions): Config {
  const faults = new Faults();
  const mode = flag(environment['SANDBOX'], 'SANDBOX', faults) ? 'sandbox' : 'live';
  const dataDir = resolve(options.cwd, environment['DATA_DIR'] || 'data');
  const file = fileConfig(environment, dataDir, options.cwd, faults);
  checkDatabaseUrl(environment['DATABASE_URL'], faults);
  const channels = channelConfigs(file.channels, environment, mode, faults);
  const models =
    file.models && mode === 'live' ? file.models : shippedModels(SHIPPED, mode, channels, faults);
  const config: Config = {
    mode,
    server: serverConfig(file, environment, faults),
    dataDir,
    logLevel: oneOf(environment['LOG_LEVEL'] || 'info', LEVELS, 'LOG_LEVEL', faults),
    secrets: secrets(environment, faults),
    payments: paymentsConfig(file, environment, mode, faults),
    siwx: siwxConfig(file),
    channels,
    models: modelConfigs(models, channels, faults),
    limits: limitsConfig(file),
    creditUsd: usd(file.credits?.credit_usd, '0.01', 'credits.credit_usd', faults),
  };
  faults.throwIfAny();
  return config;
}

function fileConfig(
  environment: Environment,
  dataDir: string,
  cwd: string,
  faults: Faults,
): FileConfig {
  const named = environment['FAREBOX_CONFIG'];
  if (named && !existsSync(resolve(cwd, named))) {
    faults.add('FAREBOX_CONFIG', 'there is no such file');
    return {};
  }
  const places = named
    ? [resolve(cwd, named)]
    : [join(dataDir, 'farebox.yaml'), resolve(cwd, 'config/farebox.yaml')];
  const path = places.find((place) => existsSync(place));
  return path ? readFile(readFileSync(path, 'utf8'), environment, faults) : {};
}

function serverConfig(file: FileConfig, environment: Environment, faults: Faults): ServerConfig {
  const port = environment['PORT'] || '8402';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    faults.add('PORT', 'must be a number from 0 to 65535');
  }
  const host = environment['HOST'] || '127.0.0.1';
  if (!isIP(host) && host !== 'localhost') faults.add('HOST', 'must be an IP address or localhost');
  const url = environment['PUBLIC_URL'] || file.server?.public_url;
  const urlPath = environment['PUBLIC_URL'] ? 'PUBLIC_URL' : 'server.public_url';
  const trustedProxies = file.server?.trusted_proxies ?? [];
  for (const [index, cidr] of trustedProxies.entries()) {
    if (!isCidr(cidr)) {
      faults.add(`server.trusted_proxies[${index}]`, 'must be a CIDR such as 10.0.0.0/8');
    }
  }
  return {
    host,
    port: Number(port),
    publicUrl: url ? checkOrigin(url, urlPath, faults) : null,
    trustedProxies,
    corsOrigins: file.server?.cors_origins ?? ['*'],
  };
}

function isCidr(text: string): boolean {
  const [address, bits, ...more] = text.split('/');
  const family = isIP(address ?? '');
  if (!family || more.length) return false;
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
  );
}

function paymentsConfig(
  file: FileConfig,
  environment: Environment,
  mode: Config['mode'],
  faults: Faults,
): PaymentsConfig {
  const given = file.payments ?? {};
  const amount = (text: string | undefined, standard: string, name: string) =>
    usd(text, standard, `payments.${name}`, faults);
  const config: PaymentsConfig = {
    minimumTopUp: amount(given.minimum_top_up_usd, '1', 'minimum_top_up_usd'),
    inlineMinimum: amount(given.inline_minimum_usd, '0.05', 'inline_minimum_usd'),
    suggestedTopUp: amount(given.suggested_top_up_usd, '10', 'suggested_top_up_usd'),
    maximumTopUp: amount(given.maximum_top_up_usd, '10000', 'maximum_top_up_usd'),
    minimumBalance: amount(given.minimum_balance_usd, '0.01', 'minimum_balance_usd'),
    exposurePerPayer: amount(given.exposure_per_payer_usd, '50', 'exposure_per_payer_usd'),
    exposureTotal: amount(given.exposure_total_usd, '500', 'exposure_total_usd'),
    networks: networkConfigs(given.networks, environment, mode, faults),
  };
  const ordered =
    config.minimumTopUp <= config.suggestedTopUp && config.suggestedTopUp <= config.maximumTopUp;
  if (!ordered) {
    faults.add(
      'payments',
      'minimum_top_up_usd <= suggested_top_up_usd <= maximum_top_up_usd must hold',
    );
  }
  if (config.inlineMinimum > config.maximumTopUp || config.inlineMinimum <= 0) {
    faults.add('payments.inline_minimum_usd', 'must be above 0 and at most maximum_top_up_usd');
  }
  if (config.maximumTopUp > nanoUsd(1_000_000_000_000_000)) {
    faults.add('payments.maximum_top_up_usd', 'must be at most 1000000');
  }
  return config;
}

function usd(text: string | undefined, standard: string, path: string, faults: Faults): NanoUsd {
  try {
    return parseUsd(text ?? standard);
  } catch {
    faults.add(path, 'must be a decimal string of US dollars, such as "0.05"');
    return ZERO_USD;
  }
}

function siwxConfig(file: FileConfig): SiwxConfig {
  return {
    replay: file.siwx?.replay ?? 'single-use',
    maxAgeSeconds: file.siwx?.max_age_seconds ?? 300,
    extraDomains: file.siwx?.extra_domains ?? [],
  };
}

function limitsConfig(file: FileConfig): LimitsConfig {
  const camel = (name: string) =>
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const given = Object.entries(file.limits ?? {}).map(([name, value]) => [camel(name), value]);
  return { ...LIMITS, ...(Object.fromEntries(given) as Partial<LimitsConfig>) };
}

const MASTER_KEY_BYTES = 32;
const ADMIN_KEY_CHARS = 32;

function secrets(environment: Environment, faults: Faults): Config['secrets'] {
  const master = environment['FAREBOX_MASTER_KEY'];
  const masterKey = master === undefined ? null : Buffer.from(master, 'base64');
  if (
    masterKey &&
    (masterKey.length !== MASTER_KEY_BYTES || isDull(masterKey.toString('latin1')))
  ) {
    faults.add('FAREBOX_MASTER_KEY', 'must be 32 random bytes in base64 (openssl rand -base64 32)');
  }
  const adminKey = environment['FAREBOX_ADMIN_KEY'] ?? null;
  if (adminKey !== null) {
    if (
      !adminKey.startsWith('ak_') ||
      adminKey.length < ADMIN_KEY_CHARS ||
      isDull(adminKey.slice(3))
    ) {
      faults.add('FAREBOX_ADMIN_KEY', 'must be ak_ and at least 29 random characters');
    }
  }
  return { masterKey, adminKey };
}

/** All one character, or a few: typed by hand, not drawn at random. */
function isDull(text: string): boolean {
  return new Set(text).size < 8;
}

function checkDatabaseUrl(url: string | undefined, faults: Faults): void {
  if (!url) return;
  faults.add(
    'DATABASE_URL',
    'PostgreSQL is not in this release: leave it unset, SQLite is kept in DATA_DIR',
  );
}

function flag(text: string | undefined, path: string, faults: Faults): boolean {
  if (text === undefined || text === '' || text === '0' || text === 'false') return false;
  if (text !== '1' && text !== 'true') faults.add(path, 'must be 1 or 0');
  return true;
}

function oneOf<T extends string>(text: string, allowed: T[], path: string, faults: Faults): T {
  const found = allowed.find((value) => value === text);
  if (!found) faults.add(path, `must be one of ${allowed.join(', ')}`);
  return found ?? allowed[0]!;
}

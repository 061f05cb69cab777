/** The environment variables, and the settings that only they have. */
import { resolve } from 'node:path';
import type { LogLevel } from '../log.ts';
import type { Config, Mode } from './config.ts';
import { type Faults, nearest } from './fault.ts';
import { isListenHost } from './urls.ts';

export type Environment = Record<string, string | undefined>;

const LOG_LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error'];
const MASTER_KEY_BYTES = 32;
const MIN_ADMIN_KEY_CHARS = 32;
/** Fewer different characters or bytes than this is not random. */
const MIN_DISTINCT = 10;
/** What stands where a secret belongs in somebody's example. */
const PLACEHOLDER =
  /\.\.\.|…|^<.*>$|^(your|my)[-_ ]|change[-_ ]?me|^x{3,}$|^replace|^example$|^placeholder$|^secret$|^password$/i;
/** Ours, so that a near miss is a typo. FAREBOX_URL and FAREBOX_WALLET are the small wallet's. */
const OWN = [
  'FAREBOX_CONFIG',
  'FAREBOX_ADMIN_KEY',
  'FAREBOX_MASTER_KEY',
  'FAREBOX_NEW_MASTER_KEY',
  'FAREBOX_URL',
  'FAREBOX_WALLET',
];
/** Others may well use a name like these; a near miss is worth a fault all the same, since money would go nowhere. */
const NEAR_MISSES = [
  'PAY_TO_EVM',
  'PAY_TO_SOLANA',
  'GAS_KEY_EVM',
  'GAS_KEY_SOLANA',
  'PUBLIC_URL',
  'FACILITATOR_URL',
];
const LIKE_OURS = /^(FAREBOX|PAY_?TO|GAS_?KEYS?|PUBLIC_URL|FACILITATOR)/;

/** A platform's FAREBOX_PORT is three from FAREBOX_URL. */
const MAX_SLIPS = 2;

/** A variable's text; null when it is unset or empty. */
export function text(environment: Environment, name: string): string | null {
  const value = environment[name]?.trim();
  return value === undefined || value === '' ? null : value;
}

/** A secret's text; null when it is unset. Set but empty is a fault (K-13): some script meant to fill it in. */
export function secret(environment: Environment, name: string, faults: Faults): string | null {
  const value = environment[name];
  if (value === undefined) return null;
  const problem = secretProblem(value.trim());
  if (problem === null) return value.trim();
  faults.add(
    name,
    value.trim() === '' ? 'is set, but empty: give it a value or unset it' : problem,
  );
  return null;
}

/** What is wrong with a secret that somebody else made, as far as can be told. */
export function secretProblem(value: string): string | null {
  if (value === '') return 'must not be empty';
  return PLACEHOLDER.test(value)
    ? 'must be the real value, not the placeholder of an example'
    : null;
}

export function readMode(environment: Environment, faults: Faults): Mode {
  const value = text(environment, 'SANDBOX')?.toLowerCase() ?? '0';
  if (['1', 'true', 'yes', 'on'].includes(value)) return 'sandbox';
  if (!['0', 'false', 'no', 'off'].includes(value)) faults.add('SANDBOX', 'must be 1 or 0');
  return 'live';
}

export function readDataDir(environment: Environment, cwd: string, faults: Faults): string {
  const dir = text(environment, 'DATA_DIR') ?? './data';
  if (!dir.includes('\0')) return resolve(cwd, dir);
  faults.add('DATA_DIR', 'must be the path of a directory');
  return resolve(cwd, './data');
}

export function readListen(
  environment: Environment,
  faults: Faults,
): { host: string; port: number } {
  const host = text(environment, 'HOST') ?? '127.0.0.1';
  if (!isListenHost(host)) {
    faults.add('HOST', 'must be an IP address or a name, without scheme, brackets or port');
  }
  const port = text(environment, 'PORT') ?? '8402';
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) > 65_535) {
    faults.add('PORT', 'must be a whole number from 0 to 65535 (0 takes a free port)');
  }
  return { host, port: Number(port) };
}

export function readLogLevel(environment: Environment, faults: Faults): LogLevel {
  const value = text(environment, 'LOG_LEVEL')?.toLowerCase() ?? 'info';
  const level = LOG_LEVELS.find((known) => known === value);
  if (level === undefined) faults.add('LOG_LEVEL', `must be one of ${LOG_LEVELS.join(', ')}`);
  return level ?? 'info';
}

export function checkDatabaseUrl(environment: Environment, faults: Faults): void {
  const url = text(environment, 'DATABASE_URL');
  if (url === null) return;
  if (/^postgres(ql)?:/i.test(url)) {
    faults.add(
      'DATABASE_URL',
      'PostgreSQL is not in this release; unset it, and SQLite in DATA_DIR is used',
    );
  } else faults.add('DATABASE_URL', 'must be unset: SQLite in DATA_DIR is used');
}

export function readSecrets(environment: Environment, faults: Faults): Config['secrets'] {
  return {
    masterKey: readMasterKey(environment, 'FAREBOX_MASTER_KEY', faults),
    newMasterKey: readMasterKey(environment, 'FAREBOX_NEW_MASTER_KEY', faults),
    adminKey: readAdminKey(environment, faults),
  };
}

function readMasterKey(environment: Environment, name: string, faults: Faults): Buffer | null {
  const value = secret(environment, name, faults);
  if (value === null) return null;
  const key = Buffer.from(value, 'base64');
  const isBase64 = key.toString('base64').replace(/=+$/, '') === value.replace(/=+$/, '');
  if (!isBase64 || key.length !== MASTER_KEY_BYTES) {
    faults.add(name, 'must be 32 bytes in base64 (openssl rand -base64 32)');
    return null;
  }
  if (new Set(key).size < MIN_DISTINCT) {
    faults.add(name, 'must be 32 random bytes (openssl rand -base64 32)');
    return null;
  }
  return key;
}

function readAdminKey(environment: Environment, faults: Faults): string | null {
  const value = secret(environment, 'FAREBOX_ADMIN_KEY', faults);
  if (value === null) return null;
  const isForm = /^ak_[A-Za-z0-9_-]*$/.test(value) && value.length >= MIN_ADMIN_KEY_CHARS;
  if (isForm && new Set(value.slice(3)).size >= MIN_DISTINCT) return value;
  const right = isForm
    ? 'must be random'
    : `must be ak_ and letters and digits, at least ${MIN_ADMIN_KEY_CHARS} characters`;
  faults.add('FAREBOX_ADMIN_KEY', `${right} (echo "ak_$(openssl rand -hex 32)")`);
  return null;
}

/** Near misses of our own names. A container platform may add FAREBOX_… names of its own, so only near ones are faults. */
export function checkNames(environment: Environment, faults: Faults): void {
  const known = [...OWN, ...NEAR_MISSES];
  for (const name of Object.keys(environment)) {
    if (!LIKE_OURS.test(name) || known.includes(name) || environment[name] === undefined) continue;
    const meant = nearest(name, known, MAX_SLIPS);
    if (meant !== null) faults.add(name, `there is no such variable; did you mean ${meant}?`);
  }
}

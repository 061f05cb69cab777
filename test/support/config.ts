/** Loads settings from text, as if it stood in the file that FAREBOX_CONFIG names. */
import type { Config } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/fault.ts';
import { loadConfig } from '../../src/config/load.ts';

export const PAY_TO = '0x1111111111111111111111111111111111111111';
export const SOLANA_PAY_TO = '9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM';
export const GAS_KEY = `0x${'5a'.repeat(31)}01`;
/** A key pair made from the seed 00 01 02 … 1f, as solana-keygen writes it. */
export const SOLANA_GAS_KEY = JSON.stringify([
  ...Array.from({ length: 32 }, (_, n) => n),
  ...Buffer.from('03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8', 'hex'),
]);
export const MASTER_KEY = Buffer.from('0123456789abcdefghijklmnopqrstuv').toString('base64');
export const ADMIN_KEY = 'ak_0123456789abcdef0123456789abcdef';

/** A whole live configuration. */
export const FILE = `
payments:
  networks:
    - network: eip155:8453
      pay_to: "${PAY_TO}"
      facilitator: https://facilitator.example.com
channels:
  - id: main
    provider: openai
    base_url: https://api.openai.com/v1
    api_key: sk-test-key
models:
  - id: small
    context: 1000
    max_output: 100
    routes: [{ channel: main, model: small-2 }]
    price: { rules: [{ unit: input_token, per: 1000000, usd: "0.25" }, { unit: output_token, per: 1000000, usd: "2" }] }
`;

export type Environment = Record<string, string | undefined>;

/** `file`: the text of the settings file, or null for none. */
export function load(file: string | null, environment: Environment = {}): Config {
  const named = file === null ? {} : { FAREBOX_CONFIG: 'settings.yaml' };
  return loadConfig(
    { ...named, ...environment },
    {
      cwd: '/srv/farebox',
      readFile: (path) => {
        if (file !== null && path === '/srv/farebox/settings.yaml') return file;
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      },
    },
  );
}

/** The error of settings that are refused. */
export function errorOf(file: string | null, environment: Environment = {}): ConfigError {
  try {
    load(file, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('these settings were taken');
}

export function pathsOf(file: string | null, environment: Environment = {}): string[] {
  return errorOf(file, environment).faults.map(({ path }) => path);
}

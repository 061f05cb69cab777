/** From the answers of the set-up page to a settings file and what is secret in it, checked as a start would check it. */
import { join } from 'node:path';
import { stringify } from 'yaml';
import { urlProblem } from '../config/urls.ts';
import { shippedLike } from '../config/catalogue.ts';
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { ConfigError, Faults } from '../config/fault.ts';
import { loadConfig } from '../config/load.ts';
import { channelsFrom, networksFrom } from '../config/zero.ts';
import { askUpstream } from '../doctor/upstreams.ts';
import { type Answers, asEnvironment, OTHER, SECRET_NAMES, UPSTREAM_CHOICES } from './answers.ts';
import { SETTINGS_FILE } from './kept-secrets.ts';

export interface Draft {
  text: string;
  /** By the names under which the text has them. */
  secrets: Record<string, string>;
  config: Config;
  /** Models of an unknown server that have no price yet: they are not sold. */
  unpriced: string[];
}

export interface DraftOptions {
  environment: Environment;
  dataDir: string;
  cwd: string;
  nowMs: number;
}

/** Answers whose fields on the page are called otherwise. */
const FIELDS: Record<string, string> = {
  baseUrl: 'base_url',
  upstreamKey: 'upstream_key',
  publicUrl: 'public_url',
  facilitatorUrl: 'FACILITATOR_URL',
  rpcUrlBase: 'RPC_URL_BASE',
  rpcUrlSolana: 'RPC_URL_SOLANA',
};
const MARKUP = /^\d{1,4}(\.\d{1,4})?$/;
/** The channel to a server that is in no list of ours. */
const OTHER_ID = 'upstream';

/** Throws ConfigError with every fault, by the names of the page's fields or of settings. */
export async function draftOf(answers: Answers, options: DraftOptions): Promise<Draft> {
  requireAnswered(answers);
  const given = asEnvironment(answers);
  const faults = new Faults();
  const notes: string[] = [];
  const isOther = answers.upstream === OTHER;
  const channels = isOther ? [channelTo(answers)] : channelsFrom(given, faults);
  const networks = networksFrom(given, 'live', faults, notes);
  if (!networks.length) faults.add('settle', notes[0] ?? 'must say how payments are settled');
  faults.check();
  const secrets = secretsOf(given);
  const { models, unpriced } = isOther ? await modelsOf(answers) : { models: null, unpriced: [] };
  const document = named(
    {
      server: { public_url: answers.publicUrl },
      payments: { networks },
      channels,
      ...(models ? { models } : { catalogue: { markup: factorOf(answers.markup) } }),
    },
    secrets,
  );
  const at = new Date(options.nowMs).toISOString().slice(0, 10);
  const text = `# Written by the set-up page on ${at}; edit it as you like. Every setting: README.md, config/farebox.example.yaml.\n# Names in \${…} are variables of the environment, or secrets that the page keeps sealed in the database.\n${stringify(document, { lineWidth: 120 })}`;
  return { text, secrets, unpriced, config: loaded(text, secrets, options) };
}

/** A server of which nothing but its address is known. */
function channelTo({ baseUrl, upstreamKey }: Answers): Record<string, unknown> {
  const key = upstreamKey === '' ? {} : { api_key: upstreamKey };
  return { id: OTHER_ID, provider: 'openai', base_url: baseUrl, ...key };
}

/** As a start would read it. */
function loaded(
  text: string,
  secrets: Record<string, string>,
  { environment, dataDir, cwd }: DraftOptions,
): Config {
  const path = join(dataDir, SETTINGS_FILE);
  const { FAREBOX_CONFIG: _fixed, ...rest } = environment;
  return loadConfig(
    { ...rest, ...secrets, DATA_DIR: dataDir },
    {
      cwd,
      readFile: (name) => {
        if (name === path) return text;
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      },
    },
  );
}

function requireAnswered(answers: Answers): void {
  const faults = new Faults();
  const isOther = answers.upstream === OTHER;
  if (!UPSTREAM_CHOICES.some(([name]) => name === answers.upstream)) {
    faults.add('upstream', 'must be one of the list');
  }
  // What is typed into a browser must not read the environment of the process, where secrets are.
  for (const [name, value] of Object.entries(answers)) {
    if (String(value).includes('${')) faults.add(FIELDS[name] ?? name, 'must not contain ${');
  }
  if (!isOther && answers.upstreamKey === '')
    faults.add('upstream_key', 'is missing: the key of the upstream');
  if (isOther && answers.baseUrl === '')
    faults.add('base_url', 'is missing: the address of the server');
  // Before it is asked: it is shown the key.
  const wrong = answers.baseUrl === '' ? null : urlProblem(answers.baseUrl);
  if (wrong !== null) faults.add('base_url', wrong);
  if (answers.payToEvm === '' && answers.payToSolana === '') {
    faults.add('pay_to_evm', 'is missing: give an address on Base, on Solana, or both');
  }
  if (!MARKUP.test(answers.markup)) faults.add('markup', 'must be a number of percent, such as 20');
  const url = URL.canParse(answers.publicUrl) ? new URL(answers.publicUrl) : null;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    faults.add(
      'public_url',
      'must be the address that clients dial, such as https://gw.example.com',
    );
  }
  faults.check();
}

function secretsOf(given: Environment): Record<string, string> {
  const secret = new Set<string>(SECRET_NAMES);
  const pairs = Object.entries(given).flatMap(([name, value]): [string, string][] => {
    const isKey = /_(API_KEY|KEY|API_TOKEN)$/.test(name);
    return value !== undefined && (isKey || secret.has(name)) ? [[name, value]] : [];
  });
  return Object.fromEntries(pairs);
}

/** The same with `${NAME}` in the place of each secret. */
function named(value: unknown, secrets: Record<string, string>): unknown {
  if (typeof value === 'string') {
    const found = Object.entries(secrets).find(([, secret]) => secret === value);
    return found ? `\${${found[0]}}` : value;
  }
  if (Array.isArray(value)) return value.map((item) => named(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  const pairs = Object.entries(value).map(([key, item]) => [key, named(item, secrets)]);
  return Object.fromEntries(pairs);
}

/** "20" percent is a factor of "1.2". */
function factorOf(percent: string): string {
  const [whole = '0', part = ''] = percent.split('.');
  const digits = `${(BigInt(whole) + 100n).toString()}${part}`;
  const point = digits.length - part.length - 2;
  return `${digits.slice(0, point)}.${digits.slice(point)}`.replace(/\.?0+$/, '');
}

async function modelsOf({ baseUrl, upstreamKey, markup }: Answers) {
  const answer = await askUpstream({
    provider: 'openai',
    baseUrl,
    apiKey: upstreamKey || null,
    headers: {},
  }).catch((error: unknown) => {
    throw fault('base_url', error instanceof Error ? error.message : String(error));
  });
  const names = answer?.models ?? [];
  const price = { markup: factorOf(markup) };
  const models = shippedLike(names, OTHER_ID).map((model) => ({ ...model, price }));
  if (!models.length) {
    throw fault(
      'base_url',
      `lists ${names.length} models, none of which has a known price: name models and prices in ${SETTINGS_FILE}`,
    );
  }
  const sold = new Set(models.map(({ id }) => id));
  return { models, unpriced: names.filter((name) => !sold.has(name)) };
}

function fault(path: string, message: string): ConfigError {
  return new ConfigError([{ path, message }]);
}

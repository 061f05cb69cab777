import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Catalogue } from '../../src/catalogue.ts';
import { GAS_KEY, load, PAY_TO, SOLANA_GAS_KEY, SOLANA_PAY_TO } from '../support/config.ts';
import { UPSTREAM_KEYS } from '../support/upstream-keys.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const schema = JSON.parse(read('config/farebox.schema.json'));

/** The settings as the contract shows them, its ellipses filled in. */
const CONTRACT = `
server:
  public_url: https://gw.example.com
  trusted_proxies: []            # CIDRs; empty means X-Forwarded-* is ignored
  cors_origins: ["*"]
payments:
  minimum_top_up_usd: "1"
  inline_minimum_usd: "0.05"
  suggested_top_up_usd: "10"
  maximum_top_up_usd: "10000"
  minimum_balance_usd: "0.01"
  networks:
    - network: eip155:8453
      pay_to: "${PAY_TO}"
      facilitator: embedded
      rpc_url: https://mainnet.base.org
      gas_key: \${GAS_KEY_EVM}
      confirmations: 1
    - network: solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp
      pay_to: ${SOLANA_PAY_TO}
      facilitator: embedded
      rpc_url: https://api.mainnet-beta.solana.com
      gas_key: \${GAS_KEY_SOLANA}
channels:
  - id: main
    provider: openai
    base_url: https://api.openai.com/v1
    api_key: \${OPENAI_API_KEY}
    headers: {}
    group: default
    priority: 0
    weight: 1
    concurrency: 64
    timeout: { first_byte_ms: 60000, idle_ms: 60000, total_ms: 600000 }
    on_disconnect: abort
    output_limit_field: max_tokens
    vendor: openai
models:
  - id: gpt-5-mini
    type: text
    context: 400000
    max_output: 128000
    default_output: 4096
    params: {}
    routes: [ { channel: main, model: gpt-5-mini, cost: { rules: [ { unit: input_token, per: 1000000, usd: "0.25" } ] } } ]
    price: { rules: [ { unit: input_token, per: 1000000, usd: "0.25" }, { unit: output_token, per: 1000000, usd: "2" } ] }
credits: { credit_usd: "0.01" }
media: { store: disk, retention_days: 30 }
limits: { }
webhooks: { allow_private: [], ports: [443, 80] }
siwx: { replay: single-use, max_age_seconds: 300, extra_domains: [] }
`;
const KEYS = {
  OPENAI_API_KEY: 'sk-one-12345',
  GAS_KEY_EVM: GAS_KEY,
  GAS_KEY_SOLANA: SOLANA_GAS_KEY,
};

function validator() {
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
  ajv.addKeyword('x-right');
  return ajv.compile(schema);
}

describe('the schema that ships', () => {
  it('agrees with the settings of the contract', () => {
    const isValid = validator();
    expect(isValid(parse(CONTRACT)), JSON.stringify(isValid.errors)).toBe(true);
    const config = load(CONTRACT, KEYS);
    expect(config.payments.networks.map(({ facilitator }) => facilitator.kind)).toEqual([
      'embedded',
      'embedded',
    ]);
    expect(config.channels[0]?.outputLimitField).toBe('max_tokens');
  });

  it('has the defaults that the contract shows', () => {
    const { networks: _, ...amounts } = load(CONTRACT, KEYS).payments;
    const bare = load('channels: []');
    expect(bare.payments).toMatchObject(amounts);
    expect(bare.siwx).toEqual(load(CONTRACT, KEYS).siwx);
    expect(bare.creditUsd).toBe(load(CONTRACT, KEYS).creditUsd);
  });

  it('describes itself: each block closed, each list and number bounded', () => {
    const open: string[] = [];
    const walk = (node: Record<string, unknown>, path: string): void => {
      const isObject = node['type'] === 'object';
      if (isObject && node['additionalProperties'] === undefined && !path.endsWith('.params'))
        open.push(path);
      if (node['type'] === 'array' && node['maxItems'] === undefined) open.push(path);
      if (node['type'] === 'integer' && node['maximum'] === undefined) open.push(path);
      for (const [key, value] of Object.entries(node)) {
        if (typeof value === 'object' && value !== null && key !== 'default') {
          walk(value as Record<string, unknown>, `${path}.${key}`);
        }
      }
    };
    walk(schema, '');
    expect(open).toEqual([]);
  });
});

describe('config/farebox.example.yaml', () => {
  const example = read('config/farebox.example.yaml');
  const filled = {
    ...KEYS,
    PAY_TO_EVM: PAY_TO,
    PAY_TO_SOLANA: SOLANA_PAY_TO,
    CDP_API_KEY_ID: 'key-id',
    CDP_API_KEY_SECRET: Buffer.alloc(64, 7).toString('base64'),
  };

  it('works once its variables are set', () => {
    const config = load(example, filled);
    expect(config.payments.networks).toHaveLength(2);
    expect(config.models[0]?.routes).toEqual([{ channel: 'main', model: 'gpt-5-mini' }]);
  });

  it('shows the defaults', () => {
    const bare = load('channels: []');
    const { networks: _, ...amounts } = load(example, filled).payments;
    expect(bare.payments).toMatchObject(amounts);
    expect(load(example, filled).limits).toEqual(bare.limits);
    expect(load(example, filled).siwx).toEqual(bare.siwx);
  });

  it('shows every setting', () => {
    // Some stand in comments: they need a bucket, or a secret.
    const shown = (key: string) => new RegExp(`[ {#]${key}:|^${key}:`, 'm').test(example);
    const blocks = Object.entries<{ properties?: object }>(schema.properties);
    for (const [name, { properties = {} }] of blocks) {
      for (const key of [name, ...Object.keys(properties)]) expect(shown(key), key).toBe(true);
    }
  });
});

describe('config/example.env', () => {
  const lines = read('config/example.env').split('\n');
  const names = lines.flatMap((line) => /^#?([A-Z][A-Z0-9_]*)=/.exec(line)?.[1] ?? []);

  it('has one line for every variable that the settings are read from', () => {
    const sources = ['environment', 'zero', 'load', 'file'].map((name) =>
      read(`src/config/${name}.ts`),
    );
    const used = sources
      .join('\n')
      .matchAll(/'((?:[A-Z]+_)*(?:PORT|HOST|[A-Z]+_[A-Z_]+|SANDBOX))'/g);
    const wanted = new Set([...used].map((match) => match[1]!));
    expect(wanted.size).toBeGreaterThan(20);
    expect([...wanted].filter((name) => !name.endsWith('_') && !names.includes(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });

  it('changes nothing as it ships', () => {
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  });
});

const SHIPPED = readdirSync(new URL('../../config/catalogue', import.meta.url))
  .filter((name) => name.endsWith('.yaml'))
  .flatMap((name) => {
    const file = parse(read(`config/catalogue/${name}`)) as { models: Record<string, unknown>[] };
    return file.models;
  });

describe('the catalogues that ship', () => {
  it('are whole: every entry priced, dated, and routed to a channel that a key makes', () => {
    const config = load(null, UPSTREAM_KEYS);
    expect(config.models).toHaveLength(SHIPPED.length);
    for (const { id, source, as_of: asOf } of SHIPPED) {
      expect([id, source]).toEqual([id, expect.stringMatching(/^https:/)]);
      expect([id, asOf]).toEqual([id, expect.stringMatching(/^20\d\d-\d\d-\d\d$/)]);
    }
    // What the operator pays is known for every model over at least one of its channels.
    const unknown = config.models.filter(({ routes }) => !routes.some(({ cost }) => cost));
    expect(unknown.map(({ id }) => id)).toEqual([]);
  });

  it.each(Object.keys(UPSTREAM_KEYS))('sells something with nothing but %s', (name) => {
    const { models, channels } = load(null, { [name]: UPSTREAM_KEYS[name]! });
    expect(channels).toHaveLength(1);
    expect(models.length).toBeGreaterThan(1);
    expect(models.every(({ routes }) => routes.length === 1)).toBe(true);
  });

  it('gives each role of a type to one model, that of the first channel', () => {
    const claims = load(null, UPSTREAM_KEYS).models.flatMap(({ id, type, traits }) =>
      traits.map((trait) => ({ id, role: `${type} ${trait}` })),
    );
    expect(new Set(claims.map(({ role }) => role)).size).toBe(claims.length);
    const roleOf = (role: string) => claims.find((claim) => claim.role === role)?.id;
    expect(roleOf('text default')).toBe('gpt-5.6-terra');
    expect(roleOf('video default')).toBe('grok-imagine-video');
    const { models } = load(null, { ANTHROPIC_API_KEY: 'sk-ant-three' });
    const usual = models.find(({ traits }) => traits.includes('default'));
    expect(usual?.id).toBe('claude-sonnet-5');
  });

  it.each([{ SANDBOX: '1' }, UPSTREAM_KEYS])('can be sold from: %o', (environment) => {
    const { models } = load(null, environment);
    expect(new Catalogue(models).models()).toEqual(models);
  });
});

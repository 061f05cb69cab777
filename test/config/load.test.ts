import { describe, expect, it } from 'vitest';
import { KNOWN_NETWORKS } from '../../src/chains/networks.ts';
import { MEDIA_TYPES } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { priceVersion } from '../../src/config/prices.ts';
import { parseUsd } from '../../src/money.ts';
import {
  ADMIN_KEY,
  FILE,
  GAS_KEY,
  load,
  MASTER_KEY,
  PAY_TO,
  SOLANA_GAS_KEY,
  SOLANA_PAY_TO,
} from '../support/config.ts';

const SOLANA = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';

describe('with no settings at all', () => {
  it('has the defaults of the contract, and says what is missing', () => {
    const config = load(null);
    expect(config).toMatchObject({
      mode: 'live',
      server: {
        host: '127.0.0.1',
        port: 8402,
        publicUrl: null,
        trustedProxies: [],
        corsOrigins: ['*'],
      },
      dataDir: '/srv/farebox/data',
      logLevel: 'info',
      secrets: { masterKey: null, adminKey: null },
      siwx: { replay: 'single-use', maxAgeSeconds: 300, extraDomains: [] },
      channels: [],
      models: [],
      creditUsd: parseUsd('0.01'),
    });
    expect(config.payments).toEqual({
      minimumTopUp: parseUsd('1'),
      inlineMinimum: parseUsd('0.05'),
      suggestedTopUp: parseUsd('10'),
      maximumTopUp: parseUsd('10000'),
      minimumBalance: parseUsd('0.01'),
      exposurePerPayer: parseUsd('50'),
      exposureTotal: parseUsd('500'),
      adjustConfirm: parseUsd('100'),
      adjustDaily: parseUsd('1000'),
      networks: [],
    });
    expect(config.origin?.notes.join('\n')).toMatch(/OPENAI_API_KEY[\s\S]*PAY_TO_EVM/);
  });
});

describe('zero-config', () => {
  it('makes a channel and the shipped models from an upstream key', () => {
    const { channels, models } = load(null, { OPENAI_API_KEY: 'sk-one-12345' });
    expect(channels).toHaveLength(1);
    expect(channels[0]).toMatchObject({
      id: 'openai',
      provider: 'openai',
      baseUrl: 'https://api.openai.com/v1',
      apiKey: 'sk-one-12345',
      outputLimitField: 'max_completion_tokens',
      vendor: 'openai',
      timeout: { firstByteMs: 60_000, idleMs: 60_000, totalMs: 600_000 },
      onDisconnect: 'abort',
    });
    expect(models.map(({ id }) => id)).toContain('gpt-5-mini');
    expect(models.every(({ routes }) => routes.every(({ channel }) => channel === 'openai'))).toBe(
      true,
    );
  });

  it('sells what each of two upstreams has', () => {
    const both = load(null, { OPENAI_API_KEY: 'sk-one-12345', OPENROUTER_API_KEY: 'sk-or-two-1' });
    const openRouter = load(null, { OPENROUTER_API_KEY: 'sk-or-two-1' });
    expect(both.channels.map(({ id }) => id)).toEqual(['openai', 'openrouter']);
    expect(openRouter.models.map(({ id }) => id)).toContain('anthropic/claude-haiku-4.5');
    expect(both.models.length).toBeGreaterThan(openRouter.models.length);
  });

  it('settles by a gas key, with the public endpoint of the chain', () => {
    const { payments } = load(null, { PAY_TO_EVM: PAY_TO, GAS_KEY_EVM: GAS_KEY });
    expect(payments.networks).toEqual([
      {
        network: 'eip155:8453',
        family: 'eip155',
        v1Name: 'base',
        payTo: PAY_TO,
        asset: '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913',
        domain: { name: 'USD Coin', version: '2' },
        facilitator: { kind: 'embedded', gasKey: GAS_KEY },
        rpcUrl: KNOWN_NETWORKS.get('eip155:8453')?.defaultRpcUrl,
        confirmations: 1,
      },
    ]);
  });

  it('settles both chains by one facilitator, Base first', () => {
    const { payments } = load(null, {
      PAY_TO_EVM: PAY_TO,
      PAY_TO_SOLANA: SOLANA_PAY_TO,
      FACILITATOR_URL: 'https://f.example/',
      RPC_URL_SOLANA: 'https://rpc.example/?api-key=k',
    });
    expect(payments.networks.map(({ network }) => network)).toEqual(['eip155:8453', SOLANA]);
    for (const { facilitator } of payments.networks) {
      expect(facilitator).toEqual({ kind: 'remote', url: 'https://f.example', cdp: null });
    }
    expect(payments.networks[1]?.rpcUrl).toBe('https://rpc.example/?api-key=k');
  });

  it('settles by Coinbase with its keys, and shows them to nobody else', () => {
    const keySecret = Buffer.alloc(64, 7).toString('base64');
    const keys = { CDP_API_KEY_ID: 'key-id', CDP_API_KEY_SECRET: keySecret, PAY_TO_EVM: PAY_TO };
    expect(load(null, keys).payments.networks[0]?.facilitator).toEqual({
      kind: 'remote',
      url: 'https://api.cdp.coinbase.com/platform/v2/x402',
      cdp: { keyId: 'key-id', keySecret },
    });
    const elsewhere = load(null, { ...keys, FACILITATOR_URL: 'https://f.example' });
    expect(elsewhere.payments.networks[0]?.facilitator).toMatchObject({ cdp: null });
  });

  it('takes the gas key of a family before a facilitator for all', () => {
    const { payments } = load(null, {
      PAY_TO_EVM: PAY_TO,
      PAY_TO_SOLANA: SOLANA_PAY_TO,
      GAS_KEY_SOLANA: SOLANA_GAS_KEY,
      FACILITATOR_URL: 'https://f.example',
    });
    expect(payments.networks.map(({ facilitator }) => facilitator.kind)).toEqual([
      'remote',
      'embedded',
    ]);
  });

  it('starts without a way to settle, does not offer that network, and says so', () => {
    const config = load(null, { PAY_TO_EVM: PAY_TO });
    expect(config.payments.networks).toEqual([]);
    expect(config.origin?.notes.join('\n')).toContain('PAY_TO_EVM is set, but nothing can settle');
  });
});

describe('the sandbox', () => {
  it('needs no settings: two test networks, the demo upstream', () => {
    const config = load(null, { SANDBOX: '1' });
    expect(config.mode).toBe('sandbox');
    const { networks } = config.payments;
    expect(networks.map(({ network }) => network)).toEqual([
      'eip155:84532',
      'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1',
    ]);
    expect(networks.every(({ facilitator }) => facilitator.kind === 'sandbox')).toBe(true);
    expect(config.channels.map(({ provider }) => provider)).toEqual(['openai', 'demo']);
    expect(config.channels[0]).toMatchObject({
      id: 'demo',
      baseUrl: 'http://127.0.0.1:0',
      apiKey: null,
    });
    expect(config.models.length).toBeGreaterThan(0);
  });

  it('sells something of every type', () => {
    const { models } = load(null, { SANDBOX: '1' });
    expect(new Set(models.map(({ type }) => type))).toEqual(
      new Set(['text', 'embedding', ...MEDIA_TYPES]),
    );
  });

  it('is told how long its media take, and how many fail', () => {
    const told = { SANDBOX: '1', SANDBOX_DELAY_MS: '250', SANDBOX_FAILURE_RATE: '0.2' };
    expect(load(null, told).demo).toEqual({ delayMs: 250, failureRate: 0.2 });
    expect(() => load(null, { SANDBOX: '1', SANDBOX_DELAY_MS: 'soon' })).toThrow(
      'SANDBOX_DELAY_MS: must be a whole number of milliseconds',
    );
    expect(() => load(null, { SANDBOX: '1', SANDBOX_FAILURE_RATE: '20%' })).toThrow(
      'SANDBOX_FAILURE_RATE: must be a number from 0 to 1',
    );
  });

  it('makes up the same addresses at every start', () => {
    expect(load(null, { SANDBOX: '1' })).toEqual(load(null, { SANDBOX: 'true' }));
  });

  it('takes given addresses', () => {
    const given = { SANDBOX: '1', PAY_TO_EVM: PAY_TO, PAY_TO_SOLANA: SOLANA_PAY_TO };
    const { networks } = load(null, given).payments;
    expect(networks.map(({ payTo }) => payTo)).toEqual([PAY_TO, SOLANA_PAY_TO]);
  });

  it('ignores real channels, their models and their keys', () => {
    const file = FILE.replace('sk-test-key', '${NOT_SET}').replace(
      /payments:[\s\S]*(?=channels)/,
      '',
    );
    const config = load(file, { SANDBOX: '1', OPENAI_API_KEY: '' });
    expect(config.channels.map(({ id }) => id)).toEqual(['demo', 'demo-media']);
  });
});

describe('the file', () => {
  it('is filled from the environment, whole scalars and parts of them', () => {
    const file = `
server: { public_url: "https://\${HOST_NAME}" }
limits: { connections: "\${CONNECTIONS}" }
channels: [{ id: a, provider: openai, base_url: https://x.example, api_key: "\${KEY}", headers: { X-Auth: "Basic \${KEY}" } }]
models: []
`;
    const { server, limits, channels } = load(file, {
      HOST_NAME: 'gw.example',
      CONNECTIONS: '12',
      KEY: 'k-1234567${KEY}',
    });
    expect(server.publicUrl).toBe('https://gw.example');
    expect(limits.connections).toBe(12);
    // What a variable holds is not read again.
    expect(channels[0]).toMatchObject({
      apiKey: 'k-1234567${KEY}',
      headers: { 'X-Auth': 'Basic k-1234567${KEY}' },
    });
  });

  it('keeps to what it says, and takes from the environment what it does not say', () => {
    const file = 'siwx: { replay: session }';
    const config = load(file, {
      OPENAI_API_KEY: 'sk-one-12345',
      PAY_TO_EVM: PAY_TO,
      GAS_KEY_EVM: GAS_KEY,
    });
    expect(config.siwx.replay).toBe('session');
    expect(config.channels[0]?.id).toBe('openai');
    expect(config.payments.networks).toHaveLength(1);
    const whole = load(FILE, { OPENAI_API_KEY: '', PAY_TO_EVM: 'x', GAS_KEY_EVM: '' });
    expect(whole.channels.map(({ id }) => id)).toEqual(['main']);
    expect(whole.payments.networks[0]?.facilitator.kind).toBe('remote');
  });

  it('gives way to PUBLIC_URL', () => {
    const file = 'server: { public_url: https://a.example }';
    expect(load(file).server.publicUrl).toBe('https://a.example');
    expect(load(file, { PUBLIC_URL: 'https://B.example:443/' }).server.publicUrl).toBe(
      'https://b.example',
    );
    expect(load(file, { PUBLIC_URL: 'http://localhost:8402' }).server.publicUrl).toBe(
      'http://localhost:8402',
    );
  });

  it('lets one amount be set alone: defaults give way', () => {
    const small = load('payments: { minimum_top_up_usd: "0.01" }').payments;
    expect(small.inlineMinimum).toBe(parseUsd('0.01'));
    expect(small.suggestedTopUp).toBe(parseUsd('10'));
    const large = load('payments: { minimum_top_up_usd: "50" }').payments;
    expect(large.suggestedTopUp).toBe(parseUsd('50'));
    const capped = load('payments: { maximum_top_up_usd: "0.5" }').payments;
    expect([capped.minimumTopUp, capped.suggestedTopUp]).toEqual([
      parseUsd('0.5'),
      parseUsd('0.5'),
    ]);
    const exposed = load('payments: { exposure_total_usd: "5" }').payments;
    expect(exposed.exposurePerPayer).toBe(parseUsd('5'));
  });

  it('may do without an RPC endpoint where a facilitator settles', () => {
    const without = FILE.replace('facilitator:', 'rpc_url: null\n      facilitator:');
    expect(load(without).payments.networks[0]?.rpcUrl).toBeNull();
    expect(load(FILE, { RPC_URL_8453: 'http://127.0.0.1:8545' }).payments.networks[0]?.rpcUrl).toBe(
      'http://127.0.0.1:8545',
    );
  });

  it('takes a known development key where the chain is on this machine', () => {
    const key = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
    const local = { PAY_TO_EVM: PAY_TO, GAS_KEY_EVM: key, RPC_URL_BASE: 'http://127.0.0.1:8545' };
    expect(load(null, local).payments.networks).toHaveLength(1);
  });

  it('lifts a bound by 0', () => {
    const { limits } = load('limits: { body_bytes: 0, headers_timeout_ms: 0 }');
    expect(limits.bodyBytes).toBe(Number.MAX_SAFE_INTEGER);
    expect(limits.headersTimeoutMs).toBe(0);
  });

  it('knows OpenAI by its host', () => {
    const [openAi] = load(FILE).channels;
    expect(openAi).toMatchObject({ vendor: 'openai', outputLimitField: 'max_completion_tokens' });
    const [other] = load(
      FILE.replace('https://api.openai.com/v1', 'http://127.0.0.1:11434/v1/'),
    ).channels;
    expect(other).toMatchObject({
      vendor: null,
      outputLimitField: 'max_tokens',
      baseUrl: 'http://127.0.0.1:11434/v1',
    });
  });

  it('prices an embedding by its input alone', () => {
    const file = FILE.replace('context: 1000', 'type: embedding\n    context: 1000')
      .replace('    max_output: 100\n', '')
      .replace(/, \{ unit: output_token.*?\}/, '');
    expect(load(file).models[0]).toMatchObject({
      type: 'embedding',
      maxOutput: 0,
      defaultOutput: 0,
    });
  });

  it('reads secrets', () => {
    const { secrets } = load(null, {
      FAREBOX_MASTER_KEY: MASTER_KEY,
      FAREBOX_ADMIN_KEY: ADMIN_KEY,
    });
    expect(secrets.masterKey?.toString()).toBe('0123456789abcdefghijklmnopqrstuv');
    expect(secrets.adminKey).toBe(ADMIN_KEY);
  });
});

describe('where the file is', () => {
  const reading = (files: Record<string, string>) => ({
    cwd: '/srv',
    readFile: (path: string) => {
      const found = files[path];
      if (found !== undefined) return found;
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    },
  });
  const one = 'siwx: { max_age_seconds: 31 }';
  const two = 'siwx: { max_age_seconds: 32 }';
  const three = 'siwx: { max_age_seconds: 33 }';

  it('takes FAREBOX_CONFIG, else DATA_DIR/farebox.yaml, else config/farebox.yaml', () => {
    const files = {
      '/srv/x.yaml': one,
      '/data/farebox.yaml': two,
      '/srv/config/farebox.yaml': three,
    };
    const named = loadConfig({ FAREBOX_CONFIG: 'x.yaml', DATA_DIR: '/data' }, reading(files));
    expect([named.siwx.maxAgeSeconds, named.origin?.isFileFixed]).toEqual([31, true]);
    const inData = loadConfig({ DATA_DIR: '/data' }, reading(files));
    expect([inData.siwx.maxAgeSeconds, inData.origin?.isFileFixed]).toEqual([32, false]);
    const inConfig = loadConfig({ DATA_DIR: '/elsewhere' }, reading(files));
    expect([inConfig.siwx.maxAgeSeconds, inConfig.origin?.file]).toEqual([
      33,
      '/srv/config/farebox.yaml',
    ]);
  });

  it('refuses one that is there but cannot be read (O-9)', () => {
    const readFile = () => {
      throw Object.assign(new Error('denied'), { code: 'EACCES' });
    };
    expect(() => loadConfig({}, { cwd: '/srv', readFile })).toThrow(
      '/srv/data/farebox.yaml: must be a file that can be read (EACCES)',
    );
  });
});

describe('priceVersion', () => {
  const rules = [{ unit: 'input_token' as const, per: 1_000_000, usd: '2' }];

  it('is the same for the same prices, however they are spelled', () => {
    expect(priceVersion({ rules: [{ ...rules[0]!, usd: '2.00' }] })).toBe(priceVersion({ rules }));
    expect(priceVersion({ rules: [{ ...rules[0]!, usd: '20' }] })).not.toBe(
      priceVersion({ rules }),
    );
    expect(priceVersion({ rules: [{ ...rules[0]!, usd: '2.01' }] })).not.toBe(
      priceVersion({ rules }),
    );
    expect(priceVersion({ rules, markup: '1.2' })).not.toBe(priceVersion({ rules }));
    expect(priceVersion({ rules, markup: '1.0' })).toBe(priceVersion({ rules }));
    const long = [{ ...rules[0]!, when: { input_tokens: { gt: 5 } } }];
    expect(priceVersion({ rules: long })).not.toBe(priceVersion({ rules }));
    expect(priceVersion({ rules: [{ ...rules[0]!, per: 1 }] })).not.toBe(priceVersion({ rules }));
  });
});

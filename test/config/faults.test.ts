import { describe, expect, it } from 'vitest';
import {
  ADMIN_KEY,
  type Environment,
  errorOf,
  FILE,
  GAS_KEY,
  load,
  MASTER_KEY,
  PAY_TO,
  pathsOf,
} from '../support/config.ts';

const SOLANA = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';

describe('settings of the environment', () => {
  const cases: [what: string, environment: Environment, path: string][] = [
    ['a port out of range', { PORT: '65536' }, 'PORT'],
    ['a port that is none', { PORT: '80a' }, 'PORT'],
    ['a host with a port', { HOST: 'localhost:80' }, 'HOST'],
    ['a host in brackets', { HOST: '[::1]' }, 'HOST'],
    ['a log level that is none', { LOG_LEVEL: 'loud' }, 'LOG_LEVEL'],
    ['a data directory with a NUL', { DATA_DIR: 'a\0b' }, 'DATA_DIR'],
    ['a sandbox that is neither', { SANDBOX: 'maybe' }, 'SANDBOX'],
    ['PostgreSQL', { DATABASE_URL: 'postgres://u:p@db/farebox' }, 'DATABASE_URL'],
    ['another database', { DATABASE_URL: 'mysql://db' }, 'DATABASE_URL'],
    ['a public URL with a path', { PUBLIC_URL: 'https://a.example/v1' }, 'PUBLIC_URL'],
    ['a public URL over http', { PUBLIC_URL: 'http://a.example' }, 'PUBLIC_URL'],
    ['a public URL that is none', { PUBLIC_URL: 'a.example' }, 'PUBLIC_URL'],
    ['an empty master key (K-13)', { FAREBOX_MASTER_KEY: '' }, 'FAREBOX_MASTER_KEY'],
    ['an empty new master key (K-13)', { FAREBOX_NEW_MASTER_KEY: '' }, 'FAREBOX_NEW_MASTER_KEY'],
    [
      'a short master key (K-13)',
      { FAREBOX_MASTER_KEY: MASTER_KEY.slice(4) },
      'FAREBOX_MASTER_KEY',
    ],
    ['a master key in hex (K-13)', { FAREBOX_MASTER_KEY: 'ab'.repeat(32) }, 'FAREBOX_MASTER_KEY'],
    [
      'a master key of zeros (K-13)',
      { FAREBOX_MASTER_KEY: Buffer.alloc(32).toString('base64') },
      'FAREBOX_MASTER_KEY',
    ],
    ['an empty admin key (K-13)', { FAREBOX_ADMIN_KEY: '' }, 'FAREBOX_ADMIN_KEY'],
    [
      'a short admin key (K-13)',
      { FAREBOX_ADMIN_KEY: ADMIN_KEY.slice(0, 31) },
      'FAREBOX_ADMIN_KEY',
    ],
    [
      'an admin key of another kind (K-13)',
      { FAREBOX_ADMIN_KEY: ADMIN_KEY.replace('ak_', 'ck_') },
      'FAREBOX_ADMIN_KEY',
    ],
    [
      'an admin key of one letter (K-13)',
      { FAREBOX_ADMIN_KEY: `ak_${'a'.repeat(40)}` },
      'FAREBOX_ADMIN_KEY',
    ],
    ['an empty upstream key (K-13)', { OPENAI_API_KEY: '' }, 'OPENAI_API_KEY'],
    ['a placeholder as upstream key (K-13)', { OPENAI_API_KEY: 'your-api-key' }, 'OPENAI_API_KEY'],
    [
      'an upstream over http (P-12)',
      { OPENAI_API_KEY: 'sk-1-12345', OPENAI_BASE_URL: 'http://a.example' },
      'OPENAI_BASE_URL',
    ],
    ['a bad address', { PAY_TO_EVM: '0x12', FACILITATOR_URL: 'https://f.example' }, 'PAY_TO_EVM'],
    [
      'a bad Solana address',
      { PAY_TO_SOLANA: '0x12', FACILITATOR_URL: 'https://f.example' },
      'PAY_TO_SOLANA',
    ],
    [
      'a facilitator over http (P-12)',
      { PAY_TO_EVM: PAY_TO, FACILITATOR_URL: 'http://f.example' },
      'FACILITATOR_URL',
    ],
    ['an empty gas key (K-13)', { PAY_TO_EVM: PAY_TO, GAS_KEY_EVM: '' }, 'GAS_KEY_EVM'],
    ['a short gas key (K-13)', { PAY_TO_EVM: PAY_TO, GAS_KEY_EVM: '0x1234' }, 'GAS_KEY_EVM'],
    [
      'an empty CDP secret (K-13)',
      { PAY_TO_EVM: PAY_TO, CDP_API_KEY_ID: 'k', CDP_API_KEY_SECRET: '' },
      'CDP_API_KEY_SECRET',
    ],
    ['half a CDP key', { PAY_TO_EVM: PAY_TO, CDP_API_KEY_ID: 'k' }, 'CDP_API_KEY_SECRET'],
    [
      'the other half',
      { PAY_TO_EVM: PAY_TO, CDP_API_KEY_SECRET: Buffer.alloc(64, 7).toString('base64') },
      'CDP_API_KEY_ID',
    ],
    [
      'an RPC endpoint over http',
      { PAY_TO_EVM: PAY_TO, GAS_KEY_EVM: GAS_KEY, RPC_URL_BASE: 'http://r.example' },
      'RPC_URL_BASE',
    ],
    ['an RPC endpoint of no network', { RPC_URL_BSAE: 'https://r.example' }, 'RPC_URL_BSAE'],
    ['a settings file that is not there', { FAREBOX_CONFIG: 'other.yaml' }, 'FAREBOX_CONFIG'],
    ['a name off by a letter (O-9)', { FAREBOX_ADMINKEY: ADMIN_KEY }, 'FAREBOX_ADMINKEY'],
    ['an address under a near name (O-9)', { PAYTO_EVM: PAY_TO }, 'PAYTO_EVM'],
  ];

  it.each(cases)('refuses %s, and nothing else', (_, environment, path) => {
    expect(pathsOf(null, environment)).toEqual([path]);
  });

  it('leaves alone what a container platform adds to the environment', () => {
    const added = { FAREBOX_PORT: 'tcp://10.0.0.1:8402', FAREBOX_SERVICE_HOST: '10.0.0.1' };
    expect(load(null, added).server.port).toBe(8402);
  });

  it('takes an empty setting that is no secret as unset', () => {
    const empty = {
      PORT: '',
      HOST: '',
      PUBLIC_URL: '',
      SANDBOX: '',
      FAREBOX_CONFIG: '',
      DATABASE_URL: '',
    };
    expect(load(null, empty)).toEqual(load(null));
  });
});

describe('the sandbox', () => {
  it.each(['eip155:8453', SOLANA, 'eip155:11155111'])('refuses the network %s', (id) => {
    const file = `payments: { networks: [{ network: "${id}", pay_to: "${PAY_TO}" }] }`;
    expect(pathsOf(file, { SANDBOX: '1' })).toContain('payments.networks[0].network');
  });
});

describe('ConfigError', () => {
  const file = `
server: { public_url: https://a.example/x, nonsense: 1 }
channels:
  - { id: main, provider: openai, base_url: http://a.example, api_key: "\${NOT_SET}", weight: 0 }
models:
  - { id: m, context: 5, max_output: 9, routes: [{ channel: mian }], price: { rules: [{ unit: input_token, usd: "1" }] } }
`;
  const paths = [
    'HOST',
    'PORT',
    'channels[0].api_key',
    'channels[0].base_url',
    'channels[0].weight',
    'models[0].max_output',
    'models[0].price.rules',
    'models[0].routes[0].channel',
    'server.nonsense',
    'server.public_url',
  ];

  it('lists every fault of file and environment, one line each', () => {
    const error = errorOf(file, { PORT: 'x', HOST: '[' });
    expect(error.faults.map(({ path }) => path).toSorted()).toEqual(paths);
    const lines = error.message.split('\n');
    expect(lines[0]).toBe('The configuration has 10 faults:');
    expect(lines.slice(1)).toEqual(
      error.faults.map(({ path, message }) => `  ${path}: ${message}`),
    );
  });

  it('names the variable that is missing, and what a mistyped name meant', () => {
    const { message } = errorOf(`${file}chanels: 1\n`);
    expect(message).toContain('needs the environment variable NOT_SET, which is not set');
    expect(message).toContain('did you mean channels?');
    expect(message).toContain('must be the id of a channel; did you mean main?');
  });

  it('names the variable that filled a wrong setting', () => {
    const filled = FILE.replace('sk-test-key', '${UPSTREAM_KEY}');
    expect(pathsOf(filled, { UPSTREAM_KEY: 'two words' })).toEqual([
      'channels[0].api_key (UPSTREAM_KEY)',
    ]);
  });

  it('says that ${NAME} within braces needs quotes', () => {
    const { message } = errorOf('server: { public_url: ${PUBLIC} }');
    expect(message).toContain('"${NAME}" needs its quotes');
  });

  it('cuts a list that nobody would read', () => {
    const rule = '{ unit: input_token, usd: 1 }';
    const model = (n: number) =>
      `  - { id: m${n}, context: 1, max_output: 2, routes: [{ channel: x }], price: { rules: [${rule}] } }\n`;
    const many = errorOf(`models:\n${Array.from({ length: 100 }, (_, n) => model(n)).join('')}`);
    expect(many.faults.length).toBeGreaterThan(200);
    expect(many.message.split('\n')).toHaveLength(202);
  });
});

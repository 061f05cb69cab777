import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ed25519Public } from '../../src/config/addresses.ts';
import { describeConfig } from '../../src/config/describe.ts';
import { ConfigError } from '../../src/config/fault.ts';
import { type Environment, errorOf, load, PAY_TO, SOLANA_PAY_TO } from '../support/config.ts';

const FILE = `
payments:
  networks:
    - network: eip155:8453
      pay_to: "${PAY_TO}"
      gas_key: \${GAS_KEY_EVM}
      treasury_key: \${TREASURY_KEY_EVM}
      rpc_url: https://rpc.example/v2/\${RPC_KEY}
    - network: eip155:137
      pay_to: "${PAY_TO}"
      facilitator: { url: https://f.example, cdp_key_id: "\${CDP_API_KEY_ID}", cdp_key_secret: "\${CDP_API_KEY_SECRET}" }
    - network: solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp
      pay_to: ${SOLANA_PAY_TO}
      gas_key: \${GAS_KEY_SOLANA}
      treasury_key: \${TREASURY_KEY_SOLANA}
      rpc_url: https://rpc.example/?api-key=\${RPC_KEY}
channels:
  - id: main
    provider: openai
    base_url: https://api.openai.com/v1
    api_key: \${OPENAI_API_KEY}
    headers: { X-Team-Key: "\${HEADER_KEY}" }
models:
  - id: small
    context: 1000
    max_output: 100
    routes: [{ channel: main }]
    price: { rules: [{ unit: input_token, usd: "1" }, { unit: output_token, usd: "1" }] }
`;

/** Well-formed secrets, a fresh set for each seed. */
function secretsFrom(seed: Uint8Array): Record<string, string> {
  const bytes = (name: string) => createHash('sha256').update(seed).update(name).digest();
  const solana = bytes('solana');
  const treasury = bytes('solana treasury');
  return {
    GAS_KEY_EVM: `0x${bytes('evm').toString('hex')}`,
    GAS_KEY_SOLANA: JSON.stringify([...solana, ...ed25519Public(solana)]),
    TREASURY_KEY_EVM: `0x${bytes('evm treasury').toString('hex')}`,
    TREASURY_KEY_SOLANA: JSON.stringify([...treasury, ...ed25519Public(treasury)]),
    CDP_API_KEY_ID: bytes('id').toString('hex'),
    CDP_API_KEY_SECRET: Buffer.concat([bytes('a'), bytes('b')]).toString('base64'),
    OPENAI_API_KEY: `sk-${bytes('openai').toString('base64url')}`,
    HEADER_KEY: bytes('header').toString('base64url'),
    RPC_KEY: bytes('rpc').toString('hex'),
    FAREBOX_MASTER_KEY: bytes('master').toString('base64'),
    FAREBOX_ADMIN_KEY: `ak_${bytes('admin').toString('hex')}`,
  };
}

/** The secrets of which any part of eight characters is in `text`. */
function leaks(text: string, secrets: Environment): string[] {
  return Object.entries(secrets).flatMap(([name, secret = '']) => {
    for (let n = 0; n + 8 <= secret.length; n += 1)
      if (text.includes(secret.slice(n, n + 8))) return [name];
    return [];
  });
}

const seeds = fc.uint8Array({ minLength: 8, maxLength: 8 });

describe('secrets', () => {
  it('are looked for in a way that finds them', () => {
    const secrets = secretsFrom(randomBytes(8));
    expect(leaks(`x${secrets['OPENAI_API_KEY']?.slice(5, 15)}x`, secrets)).toEqual([
      'OPENAI_API_KEY',
    ]);
  });

  it('are never in what config check prints (O-11)', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const secrets = secretsFrom(seed);
        const config = load(FILE, secrets);
        const text = JSON.stringify(describeConfig(config));
        expect(leaks(text, secrets)).toEqual([]);
        expect(text.match(/\[set\]/g)?.length).toBeGreaterThanOrEqual(Object.keys(secrets).length);
      }),
      { numRuns: 100 },
    );
  });

  it('are never in what config check prints when they come from the environment alone', () => {
    const all = secretsFrom(randomBytes(8));
    const { HEADER_KEY: _, RPC_KEY, ...secrets } = all;
    const environment = {
      ...secrets,
      PAY_TO_EVM: PAY_TO,
      RPC_URL_BASE: `https://r.example/${RPC_KEY}`,
    };
    const described = describeConfig(load(null, environment));
    expect(leaks(JSON.stringify(described), all)).toEqual([]);
    expect(described).toMatchObject({
      secrets: { masterKey: '[set]', adminKey: '[set]' },
      payments: {
        networks: [{ rpcUrl: 'https://r.example/[set]', facilitator: { gasKey: '[set]' } }],
      },
      channels: [{ apiKey: '[set]' }],
    });
  });

  /** Ways to spoil a secret, or to put one where it does not belong. */
  const mistakes: ((
    secrets: Record<string, string>,
    name: string,
  ) => [file: string, Environment])[] = [
    (secrets, name) => [FILE, { ...secrets, [name]: `${secrets[name]} ${secrets[name]}` }],
    (secrets, name) => [FILE, { ...secrets, [name]: `${secrets[name]}\n`.repeat(2) }],
    (secrets, name) => [FILE, { ...secrets, [name]: `${secrets[name]}é` }],
    (secrets, name) => [
      FILE.replaceAll(`\${${name}}`, `"${secrets[name]?.replaceAll('"', '')}" x`),
      secrets,
    ],
    (secrets, name) => [`${FILE}${name}: ${secrets[name]}\n`, secrets],
    (secrets, name) => [`${FILE}"${secrets[name]}": 1\n`, secrets],
    (secrets, name) => [
      `${FILE}siwx: { replay: "${secrets[name]}", max_age_seconds: "\${${name}}" }\n`,
      secrets,
    ],
    (secrets, name) => [FILE.replace('eip155:8453', `"${secrets[name]}"`), secrets],
    (secrets, name) => [FILE.replace(`"${PAY_TO}"`, `"${secrets[name]}"`), secrets],
    (secrets, name) => [
      FILE.replace('https://f.example', `"http://${secrets[name]}.example/${secrets[name]}"`),
      secrets,
    ],
    (secrets, name) => [FILE.replace('provider: openai', `provider: "${secrets[name]}"`), secrets],
    (secrets, name) => [FILE.replace('channel: main', `channel: "${secrets[name]}"`), secrets],
    (secrets, name) => [
      FILE,
      {
        ...secrets,
        PORT: secrets[name],
        HOST: `${secrets[name]} x`,
        LOG_LEVEL: secrets[name],
        SANDBOX: secrets[name],
        PUBLIC_URL: secrets[name],
        DATABASE_URL: `postgres://u:${secrets[name]}@db`,
      },
    ],
    (secrets, name) => [FILE, { ...secrets, FAREBOX_CONFIG: `/run/${secrets[name]}` }],
    (secrets, name) => [FILE, { ...secrets, RPC_URL_BSAE: `https://r.example/${secrets[name]}` }],
    (secrets, name) => [`${FILE}  - ${secrets[name]}: [\n`, secrets],
  ];

  it.each(mistakes.map((mistake, n) => ({ n, mistake })))(
    'are in no message, whatever is wrong: mistake $n (O-9)',
    ({ mistake }) => {
      let refused = 0;
      fc.assert(
        fc.property(seeds, (seed) => {
          const secrets = secretsFrom(seed);
          for (const name of Object.keys(secrets)) {
            const [file, environment] = mistake(secrets, name);
            try {
              load(file, environment);
            } catch (error) {
              if (!(error instanceof ConfigError)) throw error;
              refused += 1;
              expect(leaks(`${error.stack}${JSON.stringify(error.faults)}`, secrets)).toEqual([]);
            }
          }
        }),
        { numRuns: 10 },
      );
      expect(refused).toBeGreaterThan(0);
    },
  );

  it('are not shown by a variable whose name is wrong', () => {
    const { FAREBOX_ADMIN_KEY: key } = secretsFrom(randomBytes(8));
    const { message } = errorOf(null, { FAREBOX_ADMIN_KEYS: key });
    expect(message).toContain('did you mean FAREBOX_ADMIN_KEY?');
    expect(message).not.toContain(key);
  });
});

import { describe, expect, it } from 'vitest';
import { FILE, GAS_KEY, load, PAY_TO, pathsOf, SOLANA_PAY_TO } from '../support/config.ts';

const SOLANA = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';
const BASE_USDC = '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913';

/** FILE with one piece of it replaced; the piece must be there. */
function changed(from: string, to: string): string {
  if (!FILE.includes(from)) throw new Error(`FILE has no ${from}`);
  return FILE.replace(from, to);
}

/** FILE with `lines` appended. */
function with_(lines: string): string {
  return `${FILE}${lines}\n`;
}

const network = (lines: string) => `payments: { networks: [{ ${lines} }] }`;
const channel = (lines: string) =>
  changed('    api_key: sk-test-key\n', `    api_key: sk-test-key\n    ${lines}\n`);
const price = (rules: string) => FILE.replace(/rules: \[.*\]/, `rules: [${rules}]`);

describe('a monstrous file', () => {
  it.each([
    ['depth', `a: ${'['.repeat(10_000)}`],
    [
      'aliases',
      `a: &a [${'x,'.repeat(9)}]\nb: &b [${'*a,'.repeat(9)}]\nc: &c [${'*b,'.repeat(9)}]\nd: [${'*c,'.repeat(9)}]`,
    ],
    ['size', `a: ${'x'.repeat(2_100_000)}`],
    ['keys', `${Array.from({ length: 30_000 }, (_, n) => `k${n}: 1\n`).join('')}k1: 1\n`],
  ])('is refused for its %s', (_, file) => {
    expect(pathsOf(file)).toEqual([expect.stringContaining('/srv/farebox/settings.yaml')]);
  });
});

describe('settings of the file', () => {
  const cases: [what: string, file: string, path: string][] = [
    ['an unknown block', with_('chanels: []'), 'chanels'],
    ['an unknown setting', changed('max_output:', 'max_outputs:'), 'models[0].max_outputs'],
    ['a block that is a list', 'server: []', 'server'],
    ['a list that is a block', 'channels: {}', 'channels'],
    ['text for a number', changed('1000\n', 'many\n'), 'models[0].context'],
    [
      'a public URL with a path',
      'server: { public_url: https://a.example/x }',
      'server.public_url',
    ],
    ['a public URL over http', 'server: { public_url: http://a.example }', 'server.public_url'],
    [
      'a public URL with a user',
      'server: { public_url: "https://u:p@a.example" }',
      'server.public_url',
    ],
    [
      'a proxy that is no CIDR',
      'server: { trusted_proxies: [10.0.0.0/33] }',
      'server.trusted_proxies[0]',
    ],
    [
      'a proxy that is everybody',
      'server: { trusted_proxies: [0.0.0.0/0] }',
      'server.trusted_proxies[0]',
    ],
    [
      'a proxy by name',
      'server: { trusted_proxies: [::1, lb.example] }',
      'server.trusted_proxies[1]',
    ],
    [
      'a CORS origin with a path',
      'server: { cors_origins: ["https://a.example/x"] }',
      'server.cors_origins[0]',
    ],
    [
      'an amount without quotes',
      'payments: { minimum_top_up_usd: 1 }',
      'payments.minimum_top_up_usd',
    ],
    [
      'an amount with an exponent',
      'payments: { minimum_top_up_usd: "1e3" }',
      'payments.minimum_top_up_usd',
    ],
    ['a negative amount', 'payments: { minimum_top_up_usd: "-1" }', 'payments.minimum_top_up_usd'],
    [
      'an amount of ten decimals',
      'payments: { minimum_top_up_usd: "0.0000000001" }',
      'payments.minimum_top_up_usd',
    ],
    [
      'a minimum of nothing',
      'payments: { inline_minimum_usd: "0" }',
      'payments.inline_minimum_usd',
    ],
    [
      'a minimum above the suggestion',
      'payments: { minimum_top_up_usd: "20", suggested_top_up_usd: "10" }',
      'payments.minimum_top_up_usd',
    ],
    [
      'a minimum above the maximum',
      'payments: { minimum_top_up_usd: "20", maximum_top_up_usd: "10" }',
      'payments.minimum_top_up_usd',
    ],
    [
      'an inline minimum above the minimum',
      'payments: { inline_minimum_usd: "2", minimum_top_up_usd: "1" }',
      'payments.inline_minimum_usd',
    ],
    [
      'a maximum above an account',
      'payments: { maximum_top_up_usd: "2000000" }',
      'payments.maximum_top_up_usd',
    ],
    [
      'an exposure above the total',
      'payments: { exposure_per_payer_usd: "9", exposure_total_usd: "8" }',
      'payments.exposure_per_payer_usd',
    ],
    ['a test network', changed('eip155:8453', 'eip155:84532'), 'payments.networks[0].network'],
    [
      'a network without built-in USDC',
      changed('eip155:8453', 'eip155:56'),
      'payments.networks[0].network',
    ],
    ['a network by its v1 name', changed('eip155:8453', 'base'), 'payments.networks[0].network'],
    [
      'another asset',
      changed(
        'facilitator:',
        'asset: "0x2222222222222222222222222222222222222222"\n      facilitator:',
      ),
      'payments.networks[0].asset',
    ],
    ['a short address', changed(PAY_TO, '0x1111'), 'payments.networks[0].pay_to'],
    ['an address without quotes', changed(`"${PAY_TO}"`, PAY_TO), 'payments.networks[0].pay_to'],
    ['the zero address', changed(PAY_TO, `0x${'0'.repeat(40)}`), 'payments.networks[0].pay_to'],
    [
      'a wrong EIP-55 checksum',
      changed(PAY_TO, '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02914'),
      'payments.networks[0].pay_to',
    ],
    ['the token as recipient', changed(PAY_TO, BASE_USDC), 'payments.networks[0].pay_to'],
    [
      'a Solana address of 31 bytes',
      network(
        `network: "${SOLANA}", pay_to: ${SOLANA_PAY_TO.slice(3)}, facilitator: "https://f.example"`,
      ),
      'payments.networks[0].pay_to',
    ],
    [
      'the System Program as recipient',
      network(
        `network: "${SOLANA}", pay_to: "${'1'.repeat(32)}", facilitator: "https://f.example"`,
      ),
      'payments.networks[0].pay_to',
    ],
    [
      'a facilitator over http (P-12)',
      changed('https://facilitator', 'http://facilitator'),
      'payments.networks[0].facilitator',
    ],
    [
      'a facilitator with a password (P-12)',
      changed('https://facilitator', 'https://u:p@facilitator'),
      'payments.networks[0].facilitator',
    ],
    [
      'a facilitator that is neither',
      changed('https://facilitator.example.com', 'embeded'),
      'payments.networks[0].facilitator',
    ],
    [
      'half a CDP key',
      changed('https://facilitator.example.com', '{ url: "https://f.example", cdp_key_id: k }'),
      'payments.networks[0].facilitator.cdp_key_secret',
    ],
    [
      'an empty CDP secret (K-13)',
      changed(
        'https://facilitator.example.com',
        '{ url: "https://f.example", cdp_key_id: k, cdp_key_secret: "" }',
      ),
      'payments.networks[0].facilitator.cdp_key_secret',
    ],
    [
      'a CDP secret of another form',
      changed(
        'https://facilitator.example.com',
        '{ url: "https://f.example", cdp_key_id: k, cdp_key_secret: abc }',
      ),
      'payments.networks[0].facilitator.cdp_key_secret',
    ],
    [
      'embedded without a gas key',
      changed('https://facilitator.example.com', 'embedded'),
      'payments.networks[0].gas_key',
    ],
    [
      'a gas key that is too short (K-13)',
      changed('https://facilitator.example.com', 'embedded\n      gas_key: "0xabcd"'),
      'payments.networks[0].gas_key',
    ],
    [
      'a gas key that everybody knows (K-13)',
      changed(
        'https://facilitator.example.com',
        'embedded\n      gas_key: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"',
      ),
      'payments.networks[0].gas_key',
    ],
    [
      'a gas key of zeros (K-13)',
      changed('https://facilitator.example.com', `embedded\n      gas_key: "0x${'0'.repeat(64)}"`),
      'payments.networks[0].gas_key',
    ],
    [
      'a gas key beside a facilitator',
      changed('facilitator:', `gas_key: "${GAS_KEY}"\n      facilitator:`),
      'payments.networks[0].gas_key',
    ],
    [
      'a Solana gas key of 32 bytes',
      network(`network: "${SOLANA}", pay_to: ${SOLANA_PAY_TO}, gas_key: ${SOLANA_PAY_TO}`),
      'payments.networks[0].gas_key',
    ],
    [
      'a Solana gas key whose halves differ',
      network(
        `network: "${SOLANA}", pay_to: ${SOLANA_PAY_TO}, gas_key: "${JSON.stringify(Array.from({ length: 64 }, () => 7))}"`,
      ),
      'payments.networks[0].gas_key',
    ],
    [
      'an RPC endpoint over http',
      changed('facilitator:', 'rpc_url: http://rpc.example\n      facilitator:'),
      'payments.networks[0].rpc_url',
    ],
    [
      'no RPC endpoint for embedded',
      changed(
        'https://facilitator.example.com',
        `embedded\n      rpc_url: null\n      gas_key: "${GAS_KEY}"`,
      ),
      'payments.networks[0].rpc_url',
    ],
    [
      'no confirmations',
      changed('facilitator:', 'confirmations: 0\n      facilitator:'),
      'payments.networks[0].confirmations',
    ],
    [
      'a channel without a base URL',
      changed('    base_url: https://api.openai.com/v1\n', ''),
      'channels[0].base_url',
    ],
    [
      'an upstream over http (P-12)',
      changed('https://api.openai.com/v1', 'http://api.example/v1'),
      'channels[0].base_url',
    ],
    [
      'an upstream with a query',
      changed('https://api.openai.com/v1', '"https://api.example/v1?key=1"'),
      'channels[0].base_url',
    ],
    [
      'a provider that there is not',
      changed('provider: openai', 'provider: replicated'),
      'channels[0].provider',
    ],
    ['an empty API key (K-13)', changed('sk-test-key', '""'), 'channels[0].api_key'],
    ['a placeholder as API key (K-13)', changed('sk-test-key', '"sk-..."'), 'channels[0].api_key'],
    ['an API key of two words', changed('sk-test-key', 'sk test key'), 'channels[0].api_key'],
    [
      'a header that the call sets',
      channel('headers: { Content-Length: "1" }'),
      'channels[0].headers.Content-Length',
    ],
    [
      'a header with a line break',
      channel('headers: { X-Team: "a\\nb" }'),
      'channels[0].headers.X-Team',
    ],
    [
      'a second authorization',
      channel('headers: { authorization: "Bearer x" }'),
      'channels[0].headers.authorization',
    ],
    ['a weight of zero', channel('weight: 0'), 'channels[0].weight'],
    [
      'an idle time above the total',
      channel('timeout: { idle_ms: 20, total_ms: 10, first_byte_ms: 5 }'),
      'channels[0].timeout.idle_ms',
    ],
    ['a choice that is none', channel('on_disconnect: ignore'), 'channels[0].on_disconnect'],
    [
      'a route to no channel',
      changed('channel: main', 'channel: mian'),
      'models[0].routes[0].channel',
    ],
    [
      'a model without routes',
      changed('routes: [{ channel: main, model: small-2 }]', 'routes: []'),
      'models[0].routes',
    ],
    ['a model without a price', FILE.replace(/ +price:.*\n/, ''), 'models[0].price'],
    [
      'a model without an output price',
      price('{ unit: input_token, usd: "1" }'),
      'models[0].price.rules',
    ],
    [
      'two prices for one unit',
      price(
        '{ unit: input_token, usd: "1" }, { unit: output_token, usd: "1" }, { unit: input_token, usd: "2" }',
      ),
      'models[0].price.rules[2].unit',
    ],
    [
      'a price without quotes',
      price('{ unit: input_token, usd: 0.1 }, { unit: output_token, usd: "1" }'),
      'models[0].price.rules[0].usd',
    ],
    [
      'a price of 13 decimals',
      price('{ unit: input_token, usd: "0.0000000000001" }, { unit: output_token, usd: "1" }'),
      'models[0].price.rules[0].usd',
    ],
    [
      'a unit that is none',
      price(
        '{ unit: image, usd: "1" }, { unit: input_token, usd: "1" }, { unit: output_token, usd: "1" }',
      ),
      'models[0].price.rules[0].unit',
    ],
    [
      'a price per nothing',
      price('{ unit: input_token, per: 0, usd: "1" }, { unit: output_token, usd: "1" }'),
      'models[0].price.rules[0].per',
    ],
    [
      'more output than context',
      changed('max_output: 100', 'max_output: 1001'),
      'models[0].max_output',
    ],
    [
      'a text model without an output limit',
      changed('    max_output: 100\n', ''),
      'models[0].max_output',
    ],
    [
      'a default above the output limit',
      changed('max_output: 100', 'max_output: 100\n    default_output: 101'),
      'models[0].default_output',
    ],
    [
      'a type of a later release',
      changed('context: 1000', 'type: hologram\n    context: 1000'),
      'models[0].type',
    ],
    ['a sign-in that lasts an hour', 'siwx: { max_age_seconds: 3600 }', 'siwx.max_age_seconds'],
    [
      'an extra domain with a scheme',
      'siwx: { extra_domains: ["https://a.example"] }',
      'siwx.extra_domains[0]',
    ],
    [
      'a callback network that is everything',
      'webhooks: { allow_private: ["::/0"] }',
      'webhooks.allow_private[0]',
    ],
    ['a store that there is not', 'media: { store: tape }', 'media.store'],
    ['a credit worth nothing', 'credits: { credit_usd: "0" }', 'credits.credit_usd'],
    ['a variable that is not set', changed('sk-test-key', '${NOT_SET}'), 'channels[0].api_key'],
    ['a variable that is empty (K-13)', changed('sk-test-key', '${EMPTY}'), 'channels[0].api_key'],
    ['a variable without a name', changed('sk-test-key', '${not-a-name}'), 'channels[0].api_key'],
    ['a broken ${', changed('sk-test-key', '"${OPEN"'), 'channels[0].api_key'],
    ['YAML that is none', 'a: [1', '/srv/farebox/settings.yaml:1:6'],
    ['a key that comes twice', 'server: {}\nserver: {}', '/srv/farebox/settings.yaml:2:1'],
    ['a file that is text', 'hello', '/srv/farebox/settings.yaml'],
    ['an unknown tag', 'server: !secret x', '/srv/farebox/settings.yaml:1:9'],
  ];

  it('takes the file that all cases start from', () => {
    expect(load(FILE).models[0]?.id).toBe('small');
  });

  it.each(cases)('refuses %s, and nothing else (O-9)', (_, file, path) => {
    expect(pathsOf(file, { EMPTY: ' ' })).toEqual([path]);
  });

  it('refuses what stands there twice', () => {
    const twice = load(FILE);
    expect(twice.channels).toHaveLength(1);
    const copied = FILE.replace(/(models:\n)([\s\S]*)/, '$1$2$2')
      .replace(/(channels:\n)([\s\S]*)(models:)/, '$1$2$2$3')
      .replace(/(networks:\n)([\s\S]*)(channels:)/, '$1$2$2$3');
    expect(pathsOf(copied).toSorted()).toEqual([
      'channels[1].id',
      'models[1].id',
      'payments.networks[1].network',
    ]);
  });
});

/**
 * Zero-config: what the file does not say is made from a few environment variables, in the file's own form, so that one set of
 * checks holds for both. Faults name the variable.
 */
import type { Mode } from './config.ts';
import { type Environment, secret, text } from './environment.ts';
import type { Faults } from './fault.ts';
import { KNOWN_NETWORKS, SOLANA_DEVNET, SOLANA_MAINNET } from '../chains/networks.ts';
import { SANDBOX_EVM, sandboxPayTo } from './sandbox.ts';

export const CDP_URL = 'https://api.cdp.coinbase.com/platform/v2/x402';
const BASE = 'eip155:8453';

/** Upstreams that an API key alone configures; their models are in the shipped catalogue under the same channel id. */
const UPSTREAMS = [
  {
    id: 'openai',
    provider: 'openai',
    key: 'OPENAI_API_KEY',
    address: 'OPENAI_BASE_URL',
    baseUrl: 'https://api.openai.com/v1',
    outputLimitField: 'max_completion_tokens',
  },
  {
    id: 'openrouter',
    provider: 'openai',
    key: 'OPENROUTER_API_KEY',
    address: 'OPENROUTER_BASE_URL',
    baseUrl: 'https://openrouter.ai/api/v1',
  },
  {
    id: 'anthropic',
    provider: 'anthropic',
    key: 'ANTHROPIC_API_KEY',
    address: 'ANTHROPIC_BASE_URL',
    baseUrl: 'https://api.anthropic.com/v1',
  },
  {
    id: 'gemini',
    provider: 'openai',
    key: 'GEMINI_API_KEY',
    address: 'GEMINI_BASE_URL',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
  },
  {
    id: 'xai',
    provider: 'openai',
    key: 'XAI_API_KEY',
    address: 'XAI_BASE_URL',
    baseUrl: 'https://api.x.ai/v1',
  },
  {
    id: 'groq',
    provider: 'openai',
    key: 'GROQ_API_KEY',
    address: 'GROQ_BASE_URL',
    baseUrl: 'https://api.groq.com/openai/v1',
  },
  {
    id: 'together',
    provider: 'openai',
    key: 'TOGETHER_API_KEY',
    address: 'TOGETHER_BASE_URL',
    baseUrl: 'https://api.together.xyz/v1',
  },
  {
    id: 'deepseek',
    provider: 'openai',
    key: 'DEEPSEEK_API_KEY',
    address: 'DEEPSEEK_BASE_URL',
    baseUrl: 'https://api.deepseek.com/v1',
  },
  {
    id: 'mistral',
    provider: 'openai',
    key: 'MISTRAL_API_KEY',
    address: 'MISTRAL_BASE_URL',
    baseUrl: 'https://api.mistral.ai/v1',
  },
  {
    id: 'venice',
    provider: 'venice',
    key: 'VENICE_API_KEY',
    address: 'VENICE_BASE_URL',
    baseUrl: 'https://api.venice.ai/api/v1',
  },
  {
    id: 'elevenlabs',
    provider: 'elevenlabs',
    key: 'ELEVENLABS_API_KEY',
    address: 'ELEVENLABS_BASE_URL',
    baseUrl: 'https://api.elevenlabs.io/v1',
  },
  {
    id: 'fal',
    provider: 'fal',
    key: 'FAL_KEY',
    address: 'FAL_BASE_URL',
    baseUrl: 'https://queue.fal.run',
  },
  {
    id: 'replicate',
    provider: 'replicate',
    key: 'REPLICATE_API_TOKEN',
    address: 'REPLICATE_BASE_URL',
    baseUrl: 'https://api.replicate.com/v1',
  },
  {
    id: 'modelark',
    provider: 'modelark',
    key: 'ARK_API_KEY',
    address: 'ARK_BASE_URL',
    baseUrl: 'https://ark.ap-southeast.bytepluses.com/api/v3',
  },
];

const FAMILIES = [
  { payTo: 'PAY_TO_EVM', gasKey: 'GAS_KEY_EVM', live: BASE, sandbox: SANDBOX_EVM },
  {
    payTo: 'PAY_TO_SOLANA',
    gasKey: 'GAS_KEY_SOLANA',
    live: SOLANA_MAINNET,
    sandbox: SOLANA_DEVNET,
  },
];

export function channelsFrom(environment: Environment, faults: Faults): Record<string, unknown>[] {
  const channels: Record<string, unknown>[] = [];
  for (const upstream of UPSTREAMS) {
    const key = secret(environment, upstream.key, faults);
    if (key === null) continue;
    const path = ['channels', channels.length];
    faults.madeFrom([...path, 'api_key'], upstream.key);
    faults.madeFrom([...path, 'base_url'], upstream.address);
    // Its vendor is that of its host: another server is not shown the keys that customers store for this one.
    channels.push({
      id: upstream.id,
      provider: upstream.provider,
      base_url: text(environment, upstream.address) ?? upstream.baseUrl,
      api_key: key,
      ...(upstream.outputLimitField && { output_limit_field: upstream.outputLimitField }),
    });
  }
  return channels;
}

/** `payments.networks`; a note for each address that nothing can settle to. */
export function networksFrom(
  environment: Environment,
  mode: Mode,
  faults: Faults,
  notes: string[],
): Record<string, unknown>[] {
  const networks: Record<string, unknown>[] = [];
  for (const family of FAMILIES) {
    const path = ['payments', 'networks', networks.length];
    const payTo = text(environment, family.payTo);
    faults.madeFrom([...path, 'pay_to'], family.payTo);
    if (mode === 'sandbox') {
      networks.push({ network: family.sandbox, pay_to: payTo ?? sandboxPayTo(family.sandbox) });
      continue;
    }
    const settling = payTo === null ? null : settlingBy(environment, family.gasKey, path, faults);
    if (payTo !== null && settling === null) {
      notes.push(
        `${family.payTo} is set, but nothing can settle payments to it: set ${family.gasKey}, FACILITATOR_URL, or CDP_API_KEY_ID and CDP_API_KEY_SECRET`,
      );
    }
    if (payTo === null && text(environment, family.gasKey) !== null) {
      notes.push(
        `${family.gasKey} is set, but ${family.payTo} is not: nothing is taken on that chain`,
      );
    }
    if (settling !== null) networks.push({ network: family.live, pay_to: payTo, ...settling });
  }
  return networks;
}

/** The gas key of the family itself comes before a facilitator for all. */
function settlingBy(
  environment: Environment,
  gasKeyName: string,
  path: (string | number)[],
  faults: Faults,
): Record<string, unknown> | null {
  if (environment[gasKeyName] !== undefined) {
    const gasKey = secret(environment, gasKeyName, faults);
    faults.madeFrom([...path, 'gas_key'], gasKeyName);
    return gasKey === null ? null : { facilitator: 'embedded', gas_key: gasKey };
  }
  const keyId = secret(environment, 'CDP_API_KEY_ID', faults);
  const keySecret = secret(environment, 'CDP_API_KEY_SECRET', faults);
  const url = text(environment, 'FACILITATOR_URL') ?? ((keyId ?? keySecret) ? CDP_URL : null);
  if (url === null) return null;
  faults.madeFrom([...path, 'facilitator'], 'FACILITATOR_URL');
  faults.madeFrom([...path, 'facilitator', 'url'], 'FACILITATOR_URL');
  faults.madeFrom([...path, 'facilitator', 'cdp_key_id'], 'CDP_API_KEY_ID');
  faults.madeFrom([...path, 'facilitator', 'cdp_key_secret'], 'CDP_API_KEY_SECRET');
  if (!isCdp(url)) return { facilitator: url };
  return {
    facilitator: {
      url,
      ...(keyId === null ? {} : { cdp_key_id: keyId }),
      ...(keySecret === null ? {} : { cdp_key_secret: keySecret }),
    },
  };
}

/** CDP's keys are shown to CDP alone. */
function isCdp(url: string): boolean {
  return URL.canParse(url) && new URL(url).hostname === new URL(CDP_URL).hostname;
}

const RPC_NAMES: Record<string, string> = { [BASE]: 'BASE', [SOLANA_MAINNET]: 'SOLANA' };

/** RPC_URL_BASE, RPC_URL_SOLANA or RPC_URL_<chain id>: the variable that is set for a network, and its value. */
export function rpcUrlFrom(
  environment: Environment,
  network: string,
): { variable: string; url: string } | null {
  const names = [RPC_NAMES[network], network.startsWith('eip155:') ? network.slice(7) : undefined];
  for (const name of names) {
    if (name === undefined) continue;
    const url = text(environment, `RPC_URL_${name}`);
    if (url !== null) return { variable: `RPC_URL_${name}`, url };
  }
  return null;
}

/** RPC_URL_… of no network that is built in. */
export function checkRpcNames(environment: Environment, faults: Faults): void {
  const chainIds = [...KNOWN_NETWORKS.keys()].flatMap((id) =>
    id.startsWith('eip155:') ? [id.slice(7)] : [],
  );
  const known = new Set([...Object.values(RPC_NAMES), ...chainIds]);
  for (const name of Object.keys(environment)) {
    if (
      !name.startsWith('RPC_URL_') ||
      known.has(name.slice(8)) ||
      text(environment, name) === null
    )
      continue;
    faults.add(
      name,
      'must be RPC_URL_BASE, RPC_URL_SOLANA, or RPC_URL_ and the chain id of a built-in network',
    );
  }
}

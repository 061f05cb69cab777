/** What the set-up page asks for: three things, each with its choices, under the names of the variables that say the same. */
import type { Environment } from '../config/environment.ts';

/** Upstreams that a key alone sets up; `other` is any server that speaks OpenAI's dialect. */
export const UPSTREAM_CHOICES = [
  ['OPENAI_API_KEY', 'OpenAI'],
  ['ANTHROPIC_API_KEY', 'Anthropic'],
  ['OPENROUTER_API_KEY', 'OpenRouter'],
  ['GEMINI_API_KEY', 'Google Gemini'],
  ['VENICE_API_KEY', 'Venice'],
  ['XAI_API_KEY', 'xAI'],
  ['GROQ_API_KEY', 'Groq'],
  ['TOGETHER_API_KEY', 'Together'],
  ['DEEPSEEK_API_KEY', 'DeepSeek'],
  ['MISTRAL_API_KEY', 'Mistral'],
  ['FAL_KEY', 'fal.ai'],
  ['REPLICATE_API_TOKEN', 'Replicate'],
  ['ELEVENLABS_API_KEY', 'ElevenLabs'],
  ['ARK_API_KEY', 'BytePlus ModelArk'],
  ['other', 'another server that speaks OpenAI’s dialect'],
] as const;

export const OTHER = 'other';

/** Ways to settle, as the page offers them. */
export const SETTLE_CHOICES = [
  ['embedded', 'by this server', 'a key of your own pays the gas, nobody stands in between'],
  ['facilitator', 'by a facilitator', 'it pays the gas; give its address'],
  ['cdp', 'by Coinbase’s facilitator', 'give an API key of its developer platform'],
] as const;

export interface Answers {
  upstream: string;
  upstreamKey: string;
  /** Empty: the provider's own. */
  baseUrl: string;
  payToEvm: string;
  payToSolana: string;
  settle: string;
  gasKeyEvm: string;
  gasKeySolana: string;
  facilitatorUrl: string;
  cdpKeyId: string;
  cdpKeySecret: string;
  rpcUrlBase: string;
  rpcUrlSolana: string;
  /** Percent on top of the catalogue's prices. */
  markup: string;
  publicUrl: string;
}

/** Variables that are secrets, or may hold one: they are kept sealed and the file only names them. */
export const SECRET_NAMES = [
  'GAS_KEY_EVM',
  'GAS_KEY_SOLANA',
  'CDP_API_KEY_ID',
  'CDP_API_KEY_SECRET',
  'RPC_URL_BASE',
  'RPC_URL_SOLANA',
] as const;

export function readAnswers(form: URLSearchParams): Answers {
  const of = (name: string) => (form.get(name) ?? '').trim();
  return {
    upstream: of('upstream'),
    upstreamKey: of('upstream_key'),
    baseUrl: of('base_url').replace(/\/+$/, ''),
    payToEvm: of('pay_to_evm'),
    payToSolana: of('pay_to_solana'),
    settle: of('settle'),
    gasKeyEvm: of('gas_key_evm'),
    gasKeySolana: of('gas_key_solana'),
    facilitatorUrl: of('facilitator_url').replace(/\/+$/, ''),
    cdpKeyId: of('cdp_key_id'),
    cdpKeySecret: of('cdp_key_secret'),
    rpcUrlBase: of('rpc_url_base'),
    rpcUrlSolana: of('rpc_url_solana'),
    markup: of('markup'),
    publicUrl: of('public_url').replace(/\/+$/, ''),
  };
}

/** The environment that says the same. What the way to settle does not need is left out. */
export function asEnvironment(answers: Answers): Environment {
  const { upstream, settle } = answers;
  const key = upstream === OTHER ? 'UPSTREAM_API_KEY' : upstream;
  const isEmbedded = settle === 'embedded';
  const isCdp = settle === 'cdp';
  const all: Record<string, string> = {
    [key]: answers.upstreamKey,
    [key.replace(/_(API_KEY|KEY|API_TOKEN)$/, '_BASE_URL')]: answers.baseUrl,
    PAY_TO_EVM: answers.payToEvm,
    PAY_TO_SOLANA: answers.payToSolana,
    GAS_KEY_EVM: isEmbedded ? answers.gasKeyEvm : '',
    GAS_KEY_SOLANA: isEmbedded ? answers.gasKeySolana : '',
    FACILITATOR_URL: settle === 'facilitator' ? answers.facilitatorUrl : '',
    CDP_API_KEY_ID: isCdp ? answers.cdpKeyId : '',
    CDP_API_KEY_SECRET: isCdp ? answers.cdpKeySecret : '',
    RPC_URL_BASE: answers.rpcUrlBase,
    RPC_URL_SOLANA: answers.rpcUrlSolana,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

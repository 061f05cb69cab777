/** What is known of servers by the hosts of their APIs: whose keys fit a channel, and how they differ from OpenAI's own. */
import type { ReportedCost, VideoDialect } from './config.ts';

export interface HostFacts {
  vendor: string | null;
  /** Absent: openai. */
  dialect?: VideoDialect;
  reportedCost?: ReportedCost;
  /** False: they are refused, and usage comes without being asked for. Absent: true. */
  streamOptions?: false;
  /** False: it serves chat completions only. Absent: true. */
  responses?: false;
  /** Reasoning models there refuse max_tokens; most other servers know nothing else. */
  outputLimitField?: 'max_completion_tokens';
}

const HOSTS: Record<string, HostFacts> = {
  'api.openai.com': { vendor: 'openai', outputLimitField: 'max_completion_tokens' },
  'api.anthropic.com': { vendor: 'anthropic' },
  'generativelanguage.googleapis.com': { vendor: 'google', responses: false },
  'api.x.ai': { vendor: 'x-ai', dialect: 'xai', reportedCost: 'usage.cost_in_usd_ticks' },
  'openrouter.ai': { vendor: 'openrouter', dialect: 'openrouter', reportedCost: 'usage.cost' },
  'api.minimax.io': { vendor: 'minimax', responses: false },
  'api.minimaxi.com': { vendor: 'minimax', responses: false },
  'api.minimax.chat': { vendor: 'minimax', responses: false },
  'api.groq.com': { vendor: 'groq' },
  'api.together.xyz': { vendor: 'together', responses: false },
  'api.deepseek.com': { vendor: 'deepseek', responses: false },
  'api.mistral.ai': { vendor: 'mistral', streamOptions: false, responses: false },
  'api.venice.ai': { vendor: 'venice', reportedCost: 'cost.usd' },
  'api.elevenlabs.io': { vendor: 'elevenlabs' },
  'queue.fal.run': { vendor: 'fal' },
  'api.replicate.com': { vendor: 'replicate' },
  'ark.ap-southeast.bytepluses.com': { vendor: 'modelark' },
  'ark.cn-beijing.volces.com': { vendor: 'modelark' },
};
const UNKNOWN: HostFacts = { vendor: null };

/** Their keys can be stored whatever channels there are. */
export const BUILT_IN_VENDORS = [
  'openai',
  'anthropic',
  'google',
  'x-ai',
  'openrouter',
  'minimax',
] as const;

export const VENDOR = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** Of this very host, not of those that end like it. */
export function factsOfHost(host: string): HostFacts {
  return (Object.hasOwn(HOSTS, host) ? HOSTS[host] : undefined) ?? UNKNOWN;
}

/** One spelling for each. */
export function vendorName(text: string): string {
  const name = text.trim().toLowerCase();
  return name === 'xai' ? 'x-ai' : name;
}

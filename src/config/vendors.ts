/** Vendors by the hosts of their APIs: whose keys fit a channel that does not say so. */

const HOSTS: Record<string, string> = {
  'api.openai.com': 'openai',
  'api.anthropic.com': 'anthropic',
  'generativelanguage.googleapis.com': 'google',
  'api.x.ai': 'x-ai',
  'openrouter.ai': 'openrouter',
  'api.minimax.io': 'minimax',
  'api.minimaxi.com': 'minimax',
  'api.minimax.chat': 'minimax',
  'api.groq.com': 'groq',
  'api.together.xyz': 'together',
  'api.deepseek.com': 'deepseek',
  'api.venice.ai': 'venice',
};

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

export function vendorOfHost(host: string): string | null {
  return HOSTS[host] ?? null;
}

/** One spelling for each. */
export function vendorName(text: string): string {
  const name = text.trim().toLowerCase();
  return name === 'xai' ? 'x-ai' : name;
}

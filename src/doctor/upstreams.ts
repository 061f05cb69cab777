/** Whether each channel's server answers, and takes its key. Nothing is bought. */
import type { ChannelConfig, ModelConfig } from '../config/config.ts';
import { bad, type Finding, found, good, warn } from './finding.ts';

const REQUEST_MS = 10_000;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_NAMED = 5;

/** Where a provider lists its models, or answers something else that only its key opens, and how the key is shown. */
interface Probe {
  path: string;
  headers(key: string): Record<string, string>;
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const OPENAI: Probe = { path: '/models', headers: bearer };
const PROBES: Record<string, Probe> = {
  anthropic: {
    path: '/models',
    headers: (key) => ({ 'x-api-key': key, 'anthropic-version': '2023-06-01' }),
  },
  elevenlabs: { path: '/models', headers: (key) => ({ 'xi-api-key': key }) },
  replicate: { path: '/account', headers: bearer },
  venice: OPENAI,
  openai: OPENAI,
  'openai-videos': OPENAI,
};

export interface UpstreamAnswer {
  /** Of the server's clock, Unix ms; null where it does not say. */
  serverMs: number | null;
  /** Model ids that it lists; null where it lists none. */
  models: string[] | null;
}

/** Throws an Error that says what is wrong with the key or the address. Follows no redirect: the key would go along. */
export async function askUpstream(
  channel: Pick<ChannelConfig, 'provider' | 'baseUrl' | 'apiKey' | 'headers'>,
  fetchFn: typeof fetch = fetch,
): Promise<UpstreamAnswer | null> {
  const probe = PROBES[channel.provider];
  if (!probe) return null;
  const key = channel.apiKey === null ? {} : probe.headers(channel.apiKey);
  const answer = await fetchFn(`${channel.baseUrl}${probe.path}`, {
    headers: { ...key, ...channel.headers, accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(REQUEST_MS),
  }).catch((error: unknown) => {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new Error(`${channel.baseUrl} does not answer${code}`, { cause: error });
  });
  if (answer.status === 401 || answer.status === 403) {
    throw new Error(`${channel.baseUrl} refuses the key (${answer.status})`);
  }
  if (answer.status >= 300 && answer.status < 400) {
    throw new Error(
      `${channel.baseUrl} sends elsewhere (${answer.status}): give the final address`,
    );
  }
  const models = answer.ok ? listed(await textOf(answer)) : null;
  const date = Date.parse(answer.headers.get('date') ?? '');
  return { serverMs: Number.isNaN(date) ? null : date, models };
}

async function textOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function listed(text: string): string[] | null {
  try {
    const { data } = JSON.parse(text) as { data?: unknown };
    if (!Array.isArray(data)) return null;
    return data.flatMap((model: unknown) => {
      const id = typeof model === 'object' && model !== null && 'id' in model ? model.id : null;
      return typeof id === 'string' ? [id] : [];
    });
  } catch {
    return null;
  }
}

export function checkUpstreams(
  channels: readonly ChannelConfig[],
  models: readonly ModelConfig[],
): Promise<Finding[]> {
  if (!channels.length) {
    const none = bad(
      'upstreams',
      'no channel is set up: there is nothing to sell',
      'set OPENAI_API_KEY, or list channels in farebox.yaml',
    );
    return Promise.resolve([none]);
  }
  const checks = channels.map((channel) => {
    const subject = `upstream ${channel.id}`;
    return found(subject, () => checkUpstream(subject, channel, models));
  });
  return Promise.all(checks).then((findings) => findings.flat());
}

async function checkUpstream(
  subject: string,
  channel: ChannelConfig,
  models: readonly ModelConfig[],
): Promise<Finding | Finding[]> {
  const routed = models.flatMap((model) =>
    model.routes.filter((route) => route.channel === channel.id).map((route) => route.model),
  );
  if (!routed.length) {
    return warn(
      subject,
      'no model is routed to it',
      `add a route to ${channel.id} to a model, or remove the channel`,
    );
  }
  let answer: UpstreamAnswer | null;
  try {
    answer = await askUpstream(channel);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return bad(subject, message, `mend channels[${channel.id}].api_key or base_url`);
  }
  if (!answer)
    return good(
      subject,
      `${routed.length} models; this kind of server cannot be asked without buying`,
    );
  const { models: known } = answer;
  const unlisted = known?.length ? routed.filter((model) => !known.includes(model)) : [];
  const missing = [...new Set(unlisted)];
  if (!missing.length) return good(subject, `answers, takes the key, ${routed.length} models`);
  const named = missing.slice(0, MAX_NAMED).join(', ');
  const more = missing.length > MAX_NAMED ? ` and ${missing.length - MAX_NAMED} more` : '';
  return warn(
    subject,
    `does not list ${named}${more}`,
    'mend the models’ routes, or take these models out',
  );
}

/** Channels and models: from the file, from an upstream key in the environment, or the sandbox's own. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChannelConfig, Mode, ModelConfig, PriceRule } from './config.ts';
import type { Faults } from './faults.ts';
import { type Environment, type FileChannel, type FileModel, readFile } from './file.ts';
import { checkUrl } from './urls.ts';

const TIMEOUT = { firstByteMs: 60_000, idleMs: 60_000, totalMs: 600_000 };
const PROVIDERS = ['openai'];
const DEFAULT_OUTPUT = 4_096;
/** Where the sandbox's demo upstream listens is known only once it does. */
export const DEMO_CHANNEL = 'demo';

/** Upstream keys that make a channel by themselves. */
const VENDORS = [
  {
    id: 'openai',
    variable: 'OPENAI_API_KEY',
    baseUrl: 'https://api.openai.com/v1',
    output: 'max_completion_tokens',
  },
  {
    id: 'openrouter',
    variable: 'OPENROUTER_API_KEY',
    baseUrl: 'https://openrouter.ai/api/v1',
    output: 'max_tokens',
  },
] as const;

export function channelConfigs(
  file: FileChannel[] | undefined,
  environment: Environment,
  mode: Mode,
  faults: Faults,
): ChannelConfig[] {
  if (mode === 'sandbox') {
    return [
      channelConfig({ id: DEMO_CHANNEL, provider: 'openai', base_url: 'http://127.0.0.1:0' }),
    ];
  }
  if (!file) return vendorChannels(environment);
  const seen = new Set<string>();
  for (const [index, channel] of file.entries()) {
    const path = `channels[${index}]`;
    if (seen.has(channel.id)) faults.add(`${path}.id`, 'is there twice');
    seen.add(channel.id);
    checkUrl(channel.base_url, `${path}.base_url`, faults);
    if (!PROVIDERS.includes(channel.provider)) {
      faults.add(`${path}.provider`, `must be one of ${PROVIDERS.join(', ')}`);
    }
    for (const name of Object.keys(channel.headers ?? {})) {
      if (!/^[A-Za-z0-9-]{1,100}$/.test(name))
        faults.add(`${path}.headers`, 'has a name that is no header');
    }
  }
  return file.map(channelConfig);
}

function vendorChannels(environment: Environment): ChannelConfig[] {
  return VENDORS.flatMap(({ id, variable, baseUrl, output }) => {
    const key = environment[variable];
    if (!key) return [];
    const given = { id, provider: 'openai', base_url: baseUrl, api_key: key, vendor: id };
    return [channelConfig({ ...given, output_limit_field: output })];
  });
}

function channelConfig(channel: FileChannel): ChannelConfig {
  const { first_byte_ms, idle_ms, total_ms } = channel.timeout ?? {};
  return {
    id: channel.id,
    provider: channel.provider,
    baseUrl: channel.base_url.replace(/\/+$/, ''),
    apiKey: channel.api_key || null,
    headers: channel.headers ?? {},
    group: channel.group ?? 'default',
    priority: channel.priority ?? 0,
    weight: channel.weight ?? 1,
    concurrency: channel.concurrency ?? 64,
    timeout: {
      firstByteMs: first_byte_ms ?? TIMEOUT.firstByteMs,
      idleMs: idle_ms ?? TIMEOUT.idleMs,
      totalMs: total_ms ?? TIMEOUT.totalMs,
    },
    onDisconnect: channel.on_disconnect ?? 'abort',
    outputLimitField: channel.output_limit_field ?? 'max_tokens',
    vendor: channel.vendor ?? null,
  };
}

/** The catalogue that ships, as far as its channels exist. */
export function shippedModels(
  folder: string,
  mode: Mode,
  channels: ChannelConfig[],
  faults: Faults,
): FileModel[] {
  const file = mode === 'sandbox' ? 'demo-models.yaml' : 'catalogue.yaml';
  const { models = [] } = readFile(readFileSync(join(folder, file), 'utf8'), {}, faults);
  const ids = new Set(channels.map(({ id }) => id));
  return models.filter(({ routes }) => routes.some(({ channel }) => ids.has(channel)));
}

export function modelConfigs(
  models: FileModel[],
  channels: ChannelConfig[],
  faults: Faults,
): ModelConfig[] {
  const ids = new Set(channels.map(({ id }) => id));
  const seen = new Set<string>();
  return models.map((model, index) => {
    const path = `models[${index}]`;
    const defaultOutput = model.default_output ?? Math.min(DEFAULT_OUTPUT, model.max_output);
    if (seen.has(model.id)) faults.add(`${path}.id`, `${model.id} is there twice`);
    seen.add(model.id);
    for (const [at, { channel }] of model.routes.entries()) {
      if (!ids.has(channel))
        faults.add(`${path}.routes[${at}].channel`, `there is no channel ${channel}`);
    }
    if (defaultOutput > model.max_output)
      faults.add(`${path}.default_output`, 'must be at most max_output');
    if (model.max_output > model.context)
      faults.add(`${path}.max_output`, 'must be at most context');
    const rules = model.price.rules.map(
      ({ unit, per, usd }) => ({ unit, per: per ?? 1, usd }) as PriceRule,
    );
    for (const unit of ['input_token', 'output_token']) {
      if (!rules.some((rule) => rule.unit === unit)) {
        faults.add(`${path}.price.rules`, `${model.id} has no price for ${unit}`);
      }
    }
    return {
      id: model.id,
      type: model.type,
      context: model.context,
      maxOutput: model.max_output,
      defaultOutput,
      routes: model.routes.map((route) => ({
        channel: route.channel,
        model: route.model ?? model.id,
      })),
      price: { rules, version: hash('sha256', JSON.stringify(rules)).slice(0, 12) },
    };
  });
}

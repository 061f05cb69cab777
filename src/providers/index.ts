/** The upstream dialects: one line each. */
import { AppError } from '../errors.ts';
import { anthropic } from './anthropic.ts';
import { openai } from './openai.ts';
import type { Provider } from './provider.ts';

const PROVIDERS: Provider[] = [openai, anthropic];

const byName = new Map(PROVIDERS.map((provider) => [provider.name, provider]));

export function providerNames(): string[] {
  return [...byName.keys()];
}

export function findProvider(name: string): Provider {
  const provider = byName.get(name);
  if (provider) return provider;
  throw new AppError('no_channel', `No provider is called ${JSON.stringify(name)}.`, {
    retryAfterSeconds: 60,
  });
}

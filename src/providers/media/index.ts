/** The upstreams that make images, video, music and sound: one line each. */
import type { MediaType } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { MediaProvider } from '../media.ts';

const PROVIDERS: readonly MediaProvider[] = [];

const byName = new Map(PROVIDERS.map((provider) => [provider.name, provider]));

/** For the configuration: what a channel's `provider` may be. */
export const MEDIA_PROVIDERS: readonly string[] = [...byName.keys()];

/** Throws no_channel where no provider of this name makes such a thing. */
export function findMediaProvider(name: string, type: MediaType): MediaProvider {
  const provider = byName.get(name);
  if (provider?.types.has(type)) return provider;
  throw new AppError(
    'no_channel',
    `No provider called ${JSON.stringify(name)} makes ${type.replace('_', ' ')}.`,
    { retryAfterSeconds: 60 },
  );
}

/** The upstreams that make images, video, music and sound: one line each. */
import type { MediaType } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { MediaProvider } from '../media.ts';
import { demo } from './demo.ts';
import { elevenlabs } from './elevenlabs.ts';
import { fal } from './fal.ts';
import { modelark } from './modelark.ts';
import { openaiImages } from './openai-images.ts';
import { openaiVideos } from './openai-videos.ts';
import { replicate } from './replicate.ts';
import { taskHttp } from './task-http.ts';
import { venice } from './venice.ts';

/** By what a channel's `provider` says; a server of OpenAI's dialect may make videos beside its images. */
const PROVIDERS: Readonly<Record<string, readonly MediaProvider[]>> = {
  openai: [openaiImages, openaiVideos],
  'openai-videos': [openaiVideos],
  fal: [fal],
  replicate: [replicate],
  modelark: [modelark],
  venice: [venice],
  elevenlabs: [elevenlabs],
  'task-http': [taskHttp],
  minimax: [taskHttp],
  demo: [demo],
};

/** For the configuration. */
export const MEDIA_PROVIDERS: readonly string[] = Object.keys(PROVIDERS);

export function isMadeBy(name: string, type: MediaType): boolean {
  const known = Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name]! : [];
  return known.some(({ types }) => types.has(type));
}

/** Throws no_channel where no provider of this name makes such a thing. */
export function findMediaProvider(name: string, type: MediaType): MediaProvider {
  const known = Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name]! : [];
  const provider = known.find(({ types }) => types.has(type));
  if (provider) return provider;
  throw new AppError(
    'no_channel',
    `No provider called ${JSON.stringify(name)} makes ${type.replace('_', ' ')}.`,
    { retryAfterSeconds: 60 },
  );
}

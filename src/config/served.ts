/** Whether the channels that models are routed to can serve them at all: a model that nothing serves would be sold in vain. */
import { isEars, isVoice } from '../providers/audio.ts';
import { isServedBy } from '../providers/index.ts';
import { isMadeBy } from '../providers/media/index.ts';
import type { ChannelConfig, ModelConfig } from './config.ts';
import type { Faults } from './fault.ts';

type Type = ModelConfig['type'];

export function isServing(provider: string, type: Type): boolean {
  switch (type) {
    case 'text':
      return (['chat', 'messages', 'responses'] as const).some((use) => isServedBy(provider, use));
    case 'embedding':
      return isServedBy(provider, 'embeddings');
    case 'tts':
      return isVoice(provider);
    case 'stt':
      return isEars(provider);
    case 'image':
    case 'image_edit':
    case 'upscale':
    case 'background_remove':
    case 'music':
    case 'sound':
    case 'video':
      return isMadeBy(provider, type);
  }
}

/** What a model of this type is, in a sentence about its channel. */
const WORDS: Record<Type, string> = {
  text: 'chats',
  embedding: 'makes embeddings',
  tts: 'speaks',
  stt: 'transcribes',
  image: 'makes images',
  image_edit: 'edits images',
  upscale: 'upscales images',
  background_remove: 'removes backgrounds',
  music: 'makes music',
  sound: 'makes sounds',
  video: 'makes videos',
};

export function checkServed(
  models: readonly ModelConfig[],
  channels: readonly ChannelConfig[],
  faults: Faults,
): void {
  const providers = new Map(channels.map(({ id, provider }) => [id, provider]));
  for (const [n, { type, routes }] of models.entries()) {
    for (const [at, { channel }] of routes.entries()) {
      const provider = providers.get(channel);
      if (!provider || isServing(provider, type)) continue;
      faults.add(
        ['models', n, 'routes', at, 'channel'],
        `must be a channel that ${WORDS[type]}; none of the provider ${provider} does`,
      );
    }
  }
}

/** What venice-x402-client buys. */
import { expect } from 'vitest';
import { wav } from '../sound.ts';
import { type Case, messages, ONE, PICTURE, SAID, spoken, TEXT, vectors, words } from './bought.ts';

export const VENICE: Case[] = [
  [
    'venice chat',
    async ({ venice }) => {
      const answer = await venice.chat({ model: 'words', messages });
      expect(answer.choices[0]!.message.content).toBe(SAID);
      return words();
    },
  ],
  [
    'venice chat, streamed',
    async ({ venice }) => {
      let text = '';
      for await (const piece of venice.chatStream({ model: 'words', messages })) text += piece;
      expect(text).toContain(SAID);
      return words();
    },
  ],
  [
    'venice embeddings',
    async ({ venice }) => {
      const { usage } = await venice.embeddings({ model: 'vectors', input: 'one' });
      return vectors(usage.prompt_tokens);
    },
  ],
  [
    'venice images.generate',
    async ({ venice }) => {
      const pixels = { width: 512, height: 512 };
      await venice.images.generate({ model: 'picture', prompt: ONE, ...pixels });
      return { model: 'picture', counts: { image: 1 }, facts: { size: '512x512' } };
    },
  ],
  [
    'venice images.generations',
    async ({ venice }) => {
      const { data } = await venice.images.generations({ model: 'picture', prompt: ONE });
      expect(data).toHaveLength(1);
      return { model: 'picture', counts: { image: 1 }, facts: { size: '512x512' } };
    },
  ],
  ...(
    [
      ['edit', 'retouch', { image: PICTURE, prompt: 'Red' }, { image: 1, input_image: 1 }],
      [
        'multiEdit',
        'retouch',
        { images: [PICTURE, PICTURE, PICTURE], prompt: 'Red' },
        { image: 1, input_image: 3 },
      ],
      ['upscale', 'larger', { image: PICTURE, scale: 4 }, { upscale: 1 }, { factor: '4x' }],
      ['backgroundRemove', 'scissors', { image: PICTURE }, { image: 1 }],
    ] as const
  ).map(([name, model, body, counts, facts = {}]): Case => [
    `venice images.${name}`,
    async ({ venice }) => {
      const blob = (await venice.images[name]({ ...body, model })) as Blob;
      expect(blob.type).toMatch(/^image\//);
      return { model, counts, facts };
    },
  ]),
  [
    'venice audio.speech',
    async ({ venice }) => {
      const { size } = await venice.audio.speech({ model: 'voice', voice: 'x', input: TEXT });
      expect(size).toBeGreaterThan(0);
      return spoken;
    },
  ],
  [
    'venice audio.transcribe',
    async ({ venice }) => {
      const file = wav(13);
      await venice.audio.transcribe({ model: 'ears', file, mimeType: 'audio/wav' });
      return { model: 'ears', counts: { input_second: 13 } };
    },
  ],
  ...(['song', 'effect'] as const).map((model): Case => [
    `venice audio.queue, ${model}`,
    async ({ venice }) => {
      const body = { model, prompt: 'A shanty', duration_seconds: 11 };
      const { queue_id } = await venice.audio.queue(body);
      const look = async () => (await venice.audio.retrieve({ model, queue_id })) instanceof Blob;
      await expect.poll(look, { interval: 200, timeout: 15_000 }).toBe(true);
      await venice.audio.complete({ model, queue_id });
      return { model, counts: { output_second: 11 } };
    },
  ]),
  [
    'venice video.generate',
    async ({ venice }) => {
      const body = { prompt: 'A boat', duration: '4s', resolution: '720p' as const };
      const film = await venice.video.generate({ model: 'clip', ...body }, 200);
      expect(film.type).toBe('video/mp4');
      return { model: 'clip', counts: { output_second: 4 }, facts: { resolution: '720p' } };
    },
  ],
  [
    'venice video.transcribe',
    async ({ venice }) => {
      await venice.video.transcribe({ model: 'watcher', url: 'https://example.com/talk.mp4' });
      return { model: 'watcher', counts: { input_second: 600 } };
    },
  ],
];

/** What OpenAI's own client buys. */
import { toFile } from 'openai';
import { expect } from 'vitest';
import { png } from '../media.ts';
import { wav } from '../sound.ts';
import {
  type Case,
  messages,
  PICTURE,
  PROMPT,
  SAID,
  SOUND,
  spoken,
  TEXT,
  vectors,
  words,
} from './bought.ts';

export const OPENAI: Case[] = [
  [
    'openai chat',
    async ({ openai }) => {
      const answer = await openai.chat.completions.create({ model: 'words', messages });
      expect(answer.choices[0]!.message.content).toBe(SAID);
      const { prompt_tokens: input_token, completion_tokens: output_token } = answer.usage!;
      return words({ input_token, output_token, request: 1 });
    },
  ],
  [
    'openai chat, streamed',
    async ({ openai }) => {
      const body = { model: 'words', messages, stream: true as const };
      let text = '';
      for await (const chunk of await openai.chat.completions.create(body)) {
        text += chunk.choices[0]?.delta.content ?? '';
      }
      expect(text).toBe(SAID);
      return words();
    },
  ],
  [
    'openai responses',
    async ({ openai }) => {
      const answer = await openai.responses.create({ model: 'words', input: 'hello' });
      expect(answer.output_text).toBe(SAID);
      return words();
    },
  ],
  [
    'openai responses, streamed',
    async ({ openai }) => {
      const body = { model: 'words', input: 'hello', stream: true as const };
      let text = '';
      for await (const event of await openai.responses.create(body)) {
        if (event.type === 'response.output_text.delta') text += event.delta;
      }
      expect(text).toBe(SAID);
      return words();
    },
  ],
  [
    'openai embeddings',
    async ({ openai }) => {
      const input = ['one', 'and another'];
      const { data, usage } = await openai.embeddings.create({ model: 'vectors', input });
      expect(data).toHaveLength(2);
      return vectors(usage.prompt_tokens);
    },
  ],
  ...(['low', 'high'] as const).map((quality): Case => [
    `openai images, ${quality}`,
    async ({ openai }) => {
      const fields = { size: '1024x1024' as const, n: 2, response_format: 'b64_json' as const };
      const { data } = await openai.images.generate(
        { model: 'picture', prompt: PROMPT, quality, ...fields },
        { headers: { prefer: 'wait=20' } },
      );
      expect(data!.map(({ b64_json }) => b64_json)).toEqual([PICTURE, PICTURE]);
      return { model: 'picture', counts: { image: 2 }, facts: { quality, size: '1024x1024' } };
    },
  ]),
  [
    'openai images.edit',
    async ({ openai }) => {
      const file = () => toFile(png(), 'a.png', { type: 'image/png' });
      const { data } = await openai.images.edit(
        { model: 'retouch', prompt: PROMPT, image: [await file(), await file()] },
        { headers: { prefer: 'wait=20' } },
      );
      expect(data).toHaveLength(1);
      return { model: 'retouch', counts: { image: 1, input_image: 2 } };
    },
  ],
  [
    'openai audio.speech',
    async ({ openai }) => {
      const body = { model: 'voice', voice: 'alloy', input: TEXT };
      const answer = await openai.audio.speech.create(body);
      expect(Buffer.from(await answer.arrayBuffer()).toString('base64')).toBe(SOUND);
      return spoken;
    },
  ],
  [
    'openai audio.transcriptions',
    async ({ openai }) => {
      const file = await toFile(wav(11), 'a.wav');
      const { text } = await openai.audio.transcriptions.create({ model: 'ears', file });
      expect(text).toBe('Hello there.');
      return { model: 'ears', counts: { input_second: 11 } };
    },
  ],
  [
    'openai audio.transcriptions, which says its length',
    async ({ openai }) => {
      const file = await toFile(wav(11), 'a.wav');
      const body = { model: 'ears', file, response_format: 'verbose_json' as const };
      const { duration } = await openai.audio.transcriptions.create(body);
      return { model: 'ears', counts: { input_second: Number(duration) } };
    },
  ],
];

/** The sandbox's voice, which hums, and its ear, which says how much it was given to hear. */
import type { ServerResponse } from 'node:http';
import { lengthOf } from '../audio/length/length.ts';
import { readFormPrefix } from '../multipart.ts';
import { melody } from './wav.ts';

const SECONDS_A_LETTER = 0.06;
const MAX_SECONDS = 120;

export function answerSpeech(input: unknown, response: ServerResponse): void {
  const text = typeof input === 'string' ? input : '';
  const seconds = Math.min(MAX_SECONDS, Math.max(0.5, text.length * SECONDS_A_LETTER));
  response.writeHead(200, { 'content-type': 'audio/wav' });
  response.end(melody(seconds, text.length + 1));
}

/** `body`: a form with a file in it. */
export function answerTranscription(body: Buffer, response: ServerResponse): void {
  const file = readFormPrefix(body).find(({ filename }) => filename !== null);
  const seconds = Math.ceil(file ? lengthOf(file.bytes).seconds : 0);
  const text = `The demo upstream was given about ${seconds} seconds to hear, and did not listen.`;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ text, usage: { type: 'duration', seconds } }));
}

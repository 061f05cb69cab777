/** The sandbox's voice, which hums, and its ear, which says how much it was given to hear. */
import type { ServerResponse } from 'node:http';
import { melody } from './wav.ts';

const SECONDS_A_LETTER = 0.06;
const MAX_SECONDS = 120;
const WAV_BYTES_A_SECOND = 11_025;

export function answerSpeech(input: unknown, response: ServerResponse): void {
  const text = typeof input === 'string' ? input : '';
  const seconds = Math.min(MAX_SECONDS, Math.max(0.5, text.length * SECONDS_A_LETTER));
  response.writeHead(200, { 'content-type': 'audio/wav' });
  response.end(melody(seconds, text.length + 1));
}

/** `body`: a form with a file in it. */
export function answerTranscription(body: Buffer, response: ServerResponse): void {
  const seconds = Math.ceil(body.length / WAV_BYTES_A_SECOND);
  const text = `The demo upstream was given about ${seconds} seconds to hear, and did not listen.`;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ text, usage: { type: 'duration', seconds } }));
}

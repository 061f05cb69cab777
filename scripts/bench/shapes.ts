/** What the bench sends and what its upstream answers: one request of about 3 KB, one answer of about 1 KB, one stream of 51 events. */

export const MODEL = 'bench';
export const SLOW_MODEL = 'bench-slow';
export const SLOW_EVENTS = 20;
export const SLOW_INTERVAL_MS = 250;
const STREAM_CHUNKS = 50;
const USAGE = { prompt_tokens: 700, completion_tokens: 50, total_tokens: 750 };

export type Shape = 'json' | 'sse';

const turn = (n: number) =>
  `Turn ${n}: the quick brown fox jumps over the lazy dog while the committee reviews figure ${n * 37} of the report. `;

/** An ordinary client's request: a system prompt, a short history, a temperature. */
export function requestBody(shape: Shape, model: string = MODEL): string {
  const messages = [{ role: 'system', content: 'You are a helpful, terse assistant.' }];
  for (let n = 0; n < 12; n += 1) {
    messages.push({ role: n % 2 ? 'assistant' : 'user', content: turn(n) + turn(n + 1) });
  }
  messages.push({ role: 'user', content: 'Summarise the above in one sentence.' });
  const stream = shape === 'sse' ? { stream: true } : {};
  return JSON.stringify({ model, ...stream, temperature: 0.7, max_tokens: 256, messages });
}

export function jsonAnswer(): string {
  const content =
    'A committee compared the figures of a report while a fox jumped over a dog. '.repeat(8);
  return JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_790_000_000,
    model: MODEL,
    choices: [
      { index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'stop' },
    ],
    usage: USAGE,
    system_fingerprint: 'fp_bench',
  });
}

/** `data:` lines of one stream: 50 chunks, one usage chunk, and the end mark. */
export function streamEvents(chunks: number = STREAM_CHUNKS): string[] {
  const head = { id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1_790_000_000 };
  const events: string[] = [];
  for (let n = 0; n < chunks; n += 1) {
    const delta = n === 0 ? { role: 'assistant', content: 'A ' } : { content: ` word${n}` };
    const finish = n === chunks - 1 ? 'stop' : null;
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
    events.push(`data: ${JSON.stringify({ ...head, model: MODEL, choices, usage: null })}\n\n`);
  }
  events.push(
    `data: ${JSON.stringify({ ...head, model: MODEL, choices: [], usage: USAGE })}\n\n`,
    'data: [DONE]\n\n',
  );
  return events;
}

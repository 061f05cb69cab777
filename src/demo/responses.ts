/** OpenAI's Responses, as the demo upstream makes them up: the same words as in its chats, whole or event by event. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const WORD_MS = 5;

interface Asked {
  model?: string;
  stream?: boolean;
  input?: unknown;
  max_output_tokens?: number;
}

export async function answerResponse(
  asked: Asked,
  vocabulary: readonly string[],
  reply: ServerResponse,
): Promise<void> {
  const words = vocabulary.slice(0, Math.max(1, asked.max_output_tokens ?? vocabulary.length));
  const text = words.join(' ');
  const finished = responseOf(
    asked,
    words.length < vocabulary.length ? 'incomplete' : 'completed',
    {
      output: [itemOf('completed', [partOf(text)])],
      usage: usageOf(asked, words.length),
    },
  );
  if (!asked.stream) {
    reply.writeHead(200, { 'content-type': 'application/json' });
    reply.end(JSON.stringify(finished));
    return;
  }
  reply.writeHead(200, { 'content-type': 'text/event-stream' });
  let sequence = 0;
  const send = (type: string, more: object) => {
    const event = { type, sequence_number: sequence++, ...more };
    reply.write(`event: ${type}\ndata: ${JSON.stringify(event)}\n\n`);
  };
  const begun = responseOf(asked, 'in_progress', { output: [], usage: null });
  const place = { output_index: 0, item_id: 'msg_demo', content_index: 0 };
  send('response.created', { response: begun });
  send('response.in_progress', { response: begun });
  send('response.output_item.added', { output_index: 0, item: itemOf('in_progress', []) });
  send('response.content_part.added', { ...place, part: partOf('') });
  for (const [index, word] of words.entries()) {
    if (reply.destroyed) return;
    const delta = index === 0 ? word : ` ${word}`;
    send('response.output_text.delta', { ...place, delta, logprobs: [] });
    await sleep(WORD_MS);
  }
  send('response.output_text.done', { ...place, text, logprobs: [] });
  send('response.content_part.done', { ...place, part: partOf(text) });
  send('response.output_item.done', {
    output_index: 0,
    item: itemOf('completed', [partOf(text)]),
  });
  send(`response.${finished.status}`, { response: finished });
  reply.end();
}

function responseOf({ model }: Asked, status: string, more: object) {
  return {
    id: 'resp_demo',
    object: 'response',
    created_at: Math.floor(Date.now() / 1_000),
    status,
    model,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    ...more,
  };
}

function itemOf(status: string, content: object[]) {
  return { type: 'message', id: 'msg_demo', role: 'assistant', status, content };
}

function partOf(text: string) {
  return { type: 'output_text', text, annotations: [] };
}

function usageOf({ input }: Asked, words: number) {
  const prompt = Math.ceil(JSON.stringify(input ?? '').length / 4);
  return { input_tokens: prompt, output_tokens: words, total_tokens: prompt + words };
}

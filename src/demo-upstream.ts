/** What the sandbox sells: an OpenAI-compatible server in this process that makes its answers up, with honest usage figures. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DemoMedia, type DemoMediaOptions } from './demo-media.ts';
import { answerResponse } from './demo/responses.ts';
import { answerSpeech, answerTranscription } from './demo/speech.ts';

export interface DemoUpstream extends AsyncDisposable {
  url: string;
}

const WORDS =
  'This answer was made up by the demo upstream: no model thought about it, and it was paid for with play money.'.split(
    ' ',
  );
const MAX_BODY_BYTES = 32 * 1024 * 1024;
const WORD_MS = 5;
const MAX_ECHOED_WORDS = 200;

interface Asked {
  model?: string;
  stream?: boolean;
  messages?: unknown[];
  input?: unknown;
  max_tokens?: number;
  max_output_tokens?: number;
  stream_options?: { include_usage?: boolean };
}

export interface DemoOptions extends DemoMediaOptions {
  /** Whether chats begin with what was asked. */
  isEchoing?: boolean;
}

export async function startDemoUpstream(options: DemoOptions = {}): Promise<DemoUpstream> {
  const made = { media: new DemoMedia(options), isEchoing: options.isEchoing ?? false };
  const server = createServer((request, response) => {
    answer(request, response, made).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

const DIMENSIONS = 8;

/** Vectors that mean nothing but are the same for the same text. */
function answerEmbeddings({ input, model }: Asked, response: ServerResponse): void {
  const texts =
    Array.isArray(input) && typeof input[0] !== 'number' ? (input as unknown[]) : [input];
  const data = texts.map((text, index) => ({
    object: 'embedding',
    index,
    embedding: Array.from(
      { length: DIMENSIONS },
      (_, n) => (JSON.stringify(text).charCodeAt(n) || 0) / 128,
    ),
  }));
  const tokens = Math.ceil(JSON.stringify(texts).length / 4);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ object: 'list', data, model, usage }));
}

/** Media jobs; what they made is to be had at the address that the caller dialled. */
function answerMedia(
  { method = 'GET', url = '', headers }: IncomingMessage,
  asked: Asked,
  { media, response }: { media: DemoMedia; response: ServerResponse },
): boolean {
  const key = headers['idempotency-key'];
  const request = {
    method,
    path: url.replace(/^\/v1/, ''),
    base: `http://${headers.host}/v1`,
    key: typeof key === 'string' ? key : undefined,
    asked: asked as Record<string, unknown>,
  };
  return media.answer(request, response);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { media, isEchoing }: { media: DemoMedia; isEchoing: boolean },
): Promise<void> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return void response.writeHead(413).end();
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (request.url === '/v1/audio/transcriptions') return answerTranscription(body, response);
  const asked = JSON.parse(body.toString() || '{}') as Asked;
  if (request.url === '/v1/audio/speech') return answerSpeech(asked.input, response);
  if (answerMedia(request, asked, { media, response })) return;
  if (request.url === '/v1/embeddings') return answerEmbeddings(asked, response);
  if (request.url === '/v1/responses') return answerResponse(asked, WORDS, response);
  if (request.url !== '/v1/chat/completions') return void response.writeHead(404).end('{}');
  const all = isEchoing ? [...echoOf(asked), ...WORDS] : WORDS;
  const words = all.slice(0, Math.max(1, asked.max_tokens ?? all.length));
  const prompt = Math.ceil(JSON.stringify(asked.messages ?? []).length / 4);
  const usage = {
    prompt_tokens: prompt,
    completion_tokens: words.length,
    total_tokens: prompt + words.length,
  };
  const finish = words.length < all.length ? 'length' : 'stop';
  const base = { id: 'chatcmpl-demo', created: Math.floor(Date.now() / 1000), model: asked.model };
  if (!asked.stream) {
    const message = { role: 'assistant', content: words.join(' ') };
    response.writeHead(200, { 'content-type': 'application/json' });
    const choices = [{ index: 0, message, finish_reason: finish }];
    response.end(JSON.stringify({ ...base, object: 'chat.completion', choices, usage }));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (choices: unknown[], more: object = {}) =>
    response.write(
      `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices, ...more })}\n\n`,
    );
  for (const [index, word] of words.entries()) {
    if (response.destroyed) return;
    const delta = index === 0 ? { role: 'assistant', content: word } : { content: ` ${word}` };
    send([{ index: 0, delta, finish_reason: null }]);
    await sleep(WORD_MS);
  }
  send([{ index: 0, delta: {}, finish_reason: finish }]);
  if (asked.stream_options?.include_usage) send([], { usage });
  response.end('data: [DONE]\n\n');
}

/** What was said last, word by word. */
function echoOf({ messages = [] }: Asked): string[] {
  const last = messages.at(-1);
  const said = typeof last === 'object' && last !== null && 'content' in last ? last.content : '';
  const text = typeof said === 'string' ? said : JSON.stringify(said);
  return ['You', 'said:', ...text.split(/\s+/).filter(Boolean).slice(0, MAX_ECHOED_WORDS)];
}

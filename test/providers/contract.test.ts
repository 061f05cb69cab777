import { describe, expect, it } from 'vitest';
import schema from '../../config/farebox.schema.json' with { type: 'json' };
import { CHAT, EMBEDDINGS, MESSAGES, RESPONSES } from '../../src/chat/kinds.ts';
import {
  eventText,
  last,
  message,
  messageEvents,
  opening,
  response,
  textDelta,
} from '../support/dialects.ts';
import { DONE, event, ROLE, STOP, USAGE, usageEvent, wholeBody } from '../support/upstream.ts';
import type { Dialect } from './bench.ts';
import { keepsContract, usesOf } from './contract.ts';

/** Sixteen bytes. */
const TEXT = 'Hello over there';

const chatBody = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }], max_tokens: 50 };
const responsesBody = { model: 'm1', input: 'Hello?', max_output_tokens: 50 };

const oddCounts = (input: string, output: string): object[] => [
  { [input]: -5, [output]: -5 },
  { [input]: '20', [output]: '5' },
  { [input]: 20.5, [output]: 4.2 },
  { [input]: null, [output]: null },
  { [input]: 0, [output]: 0 },
  {},
];

/** What speaks OpenAI's chat completions upstream. */
const openAiChats = {
  whole: (usage: object | undefined, text = TEXT) => wholeBody({ text, usage: usage ?? null }),
  usage: USAGE,
  odd: oddCounts('prompt_tokens', 'completion_tokens'),
  stream: {
    begin: [ROLE, event({ content: TEXT })],
    end: (usage: object | undefined) => [STOP, ...(usage ? [usageEvent(usage)] : []), DONE],
    error: (text: string) => `data: ${JSON.stringify({ error: { message: text } })}\n\n`,
    last: /\[DONE\]/,
  },
  error: (text: string) => ({ error: { message: text, type: 'server_error', code: null } }),
  keyHeader: 'authorization' as const,
};

const ANTHROPIC_USAGE = { input_tokens: 20, output_tokens: 5 };
const anthropicEvents = (usage: object | undefined) => {
  const [started, ...others] = messageEvents([TEXT], usage ?? {}) as Record<string, unknown>[];
  const begun = {
    ...(started!['message'] as object),
    usage: usage && { ...usage, output_tokens: 1 },
  };
  return [{ ...started, message: begun }, ...others] as object[];
};
/** What speaks Anthropic's messages upstream. */
const anthropicMessages = {
  whole: (usage: object | undefined, text = TEXT) => message([{ type: 'text', text }], { usage }),
  usage: ANTHROPIC_USAGE,
  odd: oddCounts('input_tokens', 'output_tokens'),
  error: (text: string) => ({ type: 'error', error: { type: 'api_error', message: text } }),
  keyHeader: 'x-api-key' as const,
};
const anthropicStream = {
  // message_start, content_block_start, ping, and the text; usage of the start is told there.
  begin: anthropicEvents(ANTHROPIC_USAGE)
    .slice(0, 4)
    .map((each) => eventText(each)),
  end: (usage: object | undefined) =>
    anthropicEvents(usage)
      .slice(4)
      .map((each) => eventText(each)),
  error: (text: string) =>
    eventText({ type: 'error', error: { type: 'overloaded_error', message: text } }),
};

const DIALECTS: Dialect[] = [
  { use: 'chat', provider: 'openai', kind: CHAT, body: chatBody, ...openAiChats },
  { use: 'chat', provider: 'venice', kind: CHAT, body: chatBody, ...openAiChats },
  {
    use: 'chat',
    provider: 'anthropic',
    kind: CHAT,
    body: chatBody,
    ...anthropicMessages,
    stream: { ...anthropicStream, last: /\[DONE\]/ },
  },
  {
    use: 'messages',
    provider: 'anthropic',
    kind: MESSAGES,
    body: chatBody,
    ...anthropicMessages,
    stream: { ...anthropicStream, last: /message_stop/ },
  },
  {
    use: 'messages',
    provider: 'openai',
    kind: MESSAGES,
    body: chatBody,
    ...openAiChats,
    stream: { ...openAiChats.stream, last: /message_stop/ },
  },
  {
    use: 'messages',
    provider: 'venice',
    kind: MESSAGES,
    body: chatBody,
    ...openAiChats,
    stream: { ...openAiChats.stream, last: /message_stop/ },
  },
  ...['openai', 'venice'].map((provider) => ({
    use: 'responses' as const,
    provider,
    kind: RESPONSES,
    body: responsesBody,
    whole: (usage: object | undefined, text = TEXT) => {
      const content = [{ type: 'output_text', text, annotations: [] }];
      const output = [{ type: 'message', id: 'msg_1', role: 'assistant', content }];
      return response({ output, usage });
    },
    usage: ANTHROPIC_USAGE,
    odd: oddCounts('input_tokens', 'output_tokens'),
    stream: {
      begin: [...opening().slice(0, 3), textDelta(TEXT)].map((each) => eventText(each)),
      end: (usage: object | undefined) => [eventText(last('completed', { usage }))],
      error: (text: string) =>
        eventText({ type: 'error', code: 'server_error', message: text, param: null }),
      last: /response\.completed/,
    },
    error: openAiChats.error,
    keyHeader: 'authorization' as const,
  })),
  ...['openai', 'venice'].map((provider) => ({
    use: 'embeddings' as const,
    provider,
    kind: EMBEDDINGS,
    body: { model: 'm1', input: 'Hello?' },
    whole: (usage: object | undefined, text = '') => ({
      object: 'list',
      model: `up-1${text}`,
      data: [{ object: 'embedding', index: 0, embedding: [0.1, 0.2] }],
      usage,
    }),
    usage: { prompt_tokens: 20, total_tokens: 20 },
    odd: oddCounts('prompt_tokens', 'total_tokens'),
    stream: null,
    error: openAiChats.error,
    keyHeader: 'authorization' as const,
    cost: 20,
  })),
];

describe('every provider of text', () => {
  it('is held to the contract, in every use that it has', () => {
    const names = schema.definitions.channel.properties.provider.enum;
    const wanted = names.flatMap((name) => usesOf(name).map((use) => `${use} over ${name}`));
    const held = DIALECTS.map(({ use, provider }) => `${use} over ${provider}`);
    expect(held.toSorted()).toEqual(wanted.toSorted());
    expect(wanted.length).toBeGreaterThan(8);
  });
});

for (const dialect of DIALECTS) keepsContract(dialect);

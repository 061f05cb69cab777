/** What upstreams of other dialects than OpenAI's chats send. */
import { type Behaviour, startStream, write } from './upstream.ts';

/** Events with their names, as OpenAI's Responses and Anthropic send them. */
export function named(
  events: object[],
  ending: 'end' | 'cut' | 'hang' = 'end',
  newline = '\n',
): Behaviour {
  return async (response, request) => {
    startStream(response);
    for (const event of events) await write(response, eventText(event, newline));
    if (ending === 'end') response.end();
    else if (ending === 'cut') response.destroy();
    else await request.closed;
  };
}

export function eventText(event: object, newline = '\n'): string {
  const { type } = event as { type: string };
  return `event: ${type}${newline}data: ${JSON.stringify(event)}${newline}${newline}`;
}

export const RESPONSE_USAGE = {
  input_tokens: 20,
  input_tokens_details: { cached_tokens: 4 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 25,
};

export function response(more: object = {}): Record<string, unknown> {
  const content = [{ type: 'output_text', text: 'Hello there.', annotations: [] }];
  const item = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content };
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1,
    status: 'completed',
    model: 'up-1',
    output: [item],
    error: null,
    incomplete_details: null,
    usage: RESPONSE_USAGE,
    ...more,
  };
}

let sequence = 0;
export const responseEvent = (type: string, more: object = {}): object => ({
  type,
  sequence_number: sequence++,
  ...more,
});

export const textDelta = (delta: string): object =>
  responseEvent('response.output_text.delta', {
    item_id: 'msg_1',
    output_index: 0,
    content_index: 0,
    delta,
    logprobs: [],
  });

/** A response's stream up to its last event. */
export function opening(): object[] {
  sequence = 0;
  const begun = response({ status: 'in_progress', output: [], usage: null });
  return [
    responseEvent('response.created', { response: begun }),
    responseEvent('response.in_progress', { response: begun }),
    responseEvent('response.output_item.added', {
      output_index: 0,
      item: { type: 'message', id: 'msg_1', role: 'assistant', status: 'in_progress', content: [] },
    }),
    responseEvent('response.content_part.added', {
      item_id: 'msg_1',
      output_index: 0,
      content_index: 0,
      part: { type: 'output_text', text: '', annotations: [] },
    }),
    textDelta('Hello'),
    textDelta(' there.'),
  ];
}

export const last = (type: string, more: object = {}): object =>
  responseEvent(`response.${type}`, { response: response({ status: type, ...more }) });

export const MESSAGE_USAGE = {
  input_tokens: 10,
  cache_read_input_tokens: 6,
  cache_creation_input_tokens: 4,
  output_tokens: 5,
};

export function message(content: object[], more: object = {}): object {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'up-1',
    content,
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: MESSAGE_USAGE,
    ...more,
  };
}

/** A message's stream, event by event. */
export function messageEvents(
  texts: string[],
  usage: object = { output_tokens: 5 },
  stopReason = 'end_turn',
): object[] {
  const started = { ...MESSAGE_USAGE, output_tokens: 1 };
  return [
    { type: 'message_start', message: message([], { stop_reason: null, usage: started }) },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'ping' },
    ...texts.map((text) => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text },
    })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: stopReason, stop_sequence: null }, usage },
    { type: 'message_stop' },
  ];
}

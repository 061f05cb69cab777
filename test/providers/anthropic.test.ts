import { afterEach, describe, expect, it } from 'vitest';
import { type Rig, startRig } from '../support/chat.ts';
import { type Behaviour, json, startStream, write } from '../support/upstream.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'Hello?' }], max_tokens: 50 };
const STREAM = { ...BODY, stream: true };
const CHANNEL = { provider: 'anthropic' };

let rig: Rig;
afterEach(() => rig[Symbol.asyncDispose]());
const start = async () => (rig = await startRig({ channel: CHANNEL }));

const message = (content: object[], more: object = {}): object => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content,
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 20, output_tokens: 5 },
  ...more,
});
const said = (text: string) => [{ type: 'text', text }];

/** Events as Anthropic sends them. */
function events(list: object[], ending: 'end' | 'cut' = 'end'): Behaviour {
  return async (response) => {
    startStream(response);
    for (const event of list) {
      const { type } = event as { type: string };
      await write(response, `event: ${type}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    if (ending === 'cut') response.destroy();
    else response.end();
  };
}
const opening = {
  type: 'message_start',
  message: message([], {
    stop_reason: null,
    usage: { input_tokens: 12, cache_read_input_tokens: 8, output_tokens: 1 },
  }),
};
const textDelta = (text: string) => ({
  type: 'content_block_delta',
  index: 0,
  delta: { type: 'text_delta', text },
});
const ending = (reason = 'end_turn') => [
  { type: 'message_delta', delta: { stop_reason: reason }, usage: { output_tokens: 5 } },
  { type: 'message_stop' },
];
const sent = (at = 0) => rig.upstream.requests[at]!;

describe('a request to Anthropic', () => {
  it('goes to /messages with its own headers, and says what OpenAI’s body says', async () => {
    await start();
    rig.upstream.usually(json(200, message(said('ok'))));
    const tool = {
      name: 'find',
      description: 'finds',
      parameters: { type: 'object', properties: {} },
    };
    const body = {
      ...BODY,
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'developer',
          content: [{ type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } }],
        },
        { role: 'user', content: 'Find boats.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Like this:' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
            { type: 'image_url', image_url: { url: 'https://example.com/boat.png' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: 'call_1',
              type: 'function',
              function: { name: 'find', arguments: '{"q":"boats"}' },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'three' },
        { role: 'user', content: 'And?' },
      ],
      tools: [{ type: 'function', function: tool }],
      tool_choice: 'required',
      parallel_tool_calls: false,
      temperature: 1.7,
      top_p: 0.5,
      stop: 'END',
      seed: 7,
      user: 'u1',
    };
    expect((await rig.post(body)).status).toBe(200);
    expect(sent().path).toBe('/v1/messages');
    expect(sent().headers).toMatchObject({
      'x-api-key': 'sk-upstream-0123456789abcdef',
      'anthropic-version': '2023-06-01',
    });
    expect(sent().headers).not.toHaveProperty('authorization');
    expect(sent().json).toEqual({
      model: 'up-1',
      max_tokens: 50,
      system: [
        { type: 'text', text: 'Be brief.' },
        { type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } },
      ],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Find boats.' },
            { type: 'text', text: 'Like this:' },
            {
              type: 'image',
              source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' },
            },
            { type: 'image', source: { type: 'url', url: 'https://example.com/boat.png' } },
          ],
        },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: 'call_1', name: 'find', input: { q: 'boats' } }],
        },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'call_1',
              content: [{ type: 'text', text: 'three' }],
            },
            { type: 'text', text: 'And?' },
          ],
        },
      ],
      tools: [
        { name: 'find', description: 'finds', input_schema: { type: 'object', properties: {} } },
      ],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      temperature: 1,
      top_p: 0.5,
      stop_sequences: ['END'],
    });
  });

  it('has files in it: PDFs as they are, others as text', async () => {
    await start();
    rig.upstream.usually(json(200, message(said('ok'))));
    const pdf = Buffer.from('%PDF-1.4 …').toString('base64');
    const text = Buffer.from('plain').toString('base64');
    const content = [
      {
        type: 'file',
        file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf}` },
      },
      { type: 'file', file: { file_data: pdf } },
      { type: 'file', file: { filename: 'a.txt', file_data: `data:text/plain;base64,${text}` } },
    ];
    expect((await rig.post({ ...BODY, messages: [{ role: 'user', content }] })).status).toBe(200);
    const source = { type: 'base64', media_type: 'application/pdf', data: pdf };
    const plain = { type: 'text', media_type: 'text/plain', data: 'plain' };
    expect(sent().json['messages']).toEqual([
      {
        role: 'user',
        content: [
          { type: 'document', source, title: 'a.pdf' },
          { type: 'document', source },
          { type: 'document', source: plain, title: 'a.txt' },
        ],
      },
    ]);
  });

  it('thinks when Anthropic’s own field says so, at the temperature that this needs', async () => {
    await start();
    rig.upstream.usually(json(200, message(said('ok'))));
    const thinking = { type: 'enabled', budget_tokens: 1_024 };
    await rig.post({ ...BODY, thinking, temperature: 0.2 });
    expect(sent().json['thinking']).toEqual(thinking);
    expect(sent().json).not.toHaveProperty('temperature');
    await rig.post({ ...BODY, reasoning_effort: 'high', temperature: 0.2 });
    expect(sent(1).json).not.toHaveProperty('thinking');
    expect(sent(1).json['temperature']).toBe(0.2);
  });

  it.each([
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ tools: [{ type: 'custom', custom: {} }] }, 'tools'],
    [
      { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] },
      'messages[0].content[0]',
    ],
    [
      {
        messages: [
          {
            role: 'assistant',
            tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '[' } }],
          },
        ],
      },
      'arguments',
    ],
  ])('is refused for %j, and nothing is charged', async (change, field) => {
    await start();
    const answer = await rig.post({ ...BODY, ...change });
    expect(['invalid_request', 'unsupported_parameter']).toContain(answer.json['code']);
    expect(String(answer.json['message'])).toContain(field);
    expect(rig.upstream.requests).toHaveLength(0);
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });
});

describe('a whole answer of Anthropic', () => {
  it('comes back as a chat completion, charged by its usage with what the cache did', async () => {
    await start();
    rig.upstream.usually(
      json(
        200,
        message(
          [
            { type: 'thinking', thinking: 'Hm.', signature: 'x' },
            { type: 'text', text: 'Hello ' },
            { type: 'text', text: 'there.' },
            { type: 'tool_use', id: 'toolu_1', name: 'find', input: { q: 1 } },
          ],
          {
            stop_reason: 'tool_use',
            usage: {
              input_tokens: 10,
              cache_read_input_tokens: 6,
              cache_creation_input_tokens: 4,
              output_tokens: 5,
            },
          },
        ),
      ),
    );
    const { json: answer } = await rig.post(BODY);
    expect(answer).toMatchObject({
      id: 'msg_1',
      object: 'chat.completion',
      model: 'm1',
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          message: {
            role: 'assistant',
            content: 'Hello there.',
            reasoning_content: 'Hm.',
            tool_calls: [
              { id: 'toolu_1', type: 'function', function: { name: 'find', arguments: '{"q":1}' } },
            ],
          },
        },
      ],
      usage: { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 },
    });
    expect(await rig.charged()).toBe(20 + 50);
    expect(await rig.lastUsage()).toMatchObject({ cached_input_tokens: 6, cache_write_tokens: 4 });
  });

  it.each([
    [429, 'upstream_busy'],
    [529, 'upstream_failed'],
    [401, 'upstream_failed'],
    [400, 'upstream_rejected'],
  ])('of status %i costs nothing', async (status, code) => {
    await start();
    const error = { type: 'error', error: { type: 'x_error', message: 'sorry' } };
    rig.upstream.usually(json(status, error));
    for (const body of [BODY, STREAM]) {
      const answer = await rig.post(body);
      expect(answer.json['code']).toBe(code);
      // A 429 is a pause for its channel.
      rig.store.clock.ms += 10_000;
    }
    expect(await rig.charged()).toBe(0);
    expect(await rig.held()).toBe(0);
  });

  it('without usage is counted from its text', async () => {
    await start();
    rig.upstream.usually(json(200, message(said('x'.repeat(64)), { usage: undefined })));
    expect((await rig.post(BODY)).status).toBe(200);
    expect(await rig.lastUsage()).toMatchObject({ estimated: true, output_tokens: 20 });
  });
});

describe('a stream of Anthropic', () => {
  it('becomes chunks of OpenAI’s, with usage when it was asked for, and is charged by the last word', async () => {
    await start();
    const list = [
      opening,
      { type: 'ping' },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      textDelta('Hel'),
      textDelta('lo ☺'),
      { type: 'content_block_stop', index: 0 },
      {
        type: 'content_block_start',
        index: 1,
        content_block: { type: 'tool_use', id: 'toolu_1', name: 'find', input: {} },
      },
      {
        type: 'content_block_delta',
        index: 1,
        delta: { type: 'input_json_delta', partial_json: '{"q":' },
      },
      {
        type: 'content_block_delta',
        index: 1,
        delta: { type: 'input_json_delta', partial_json: '1}' },
      },
      ...ending('tool_use'),
    ];
    rig.upstream.usually(events(list));
    const quiet = await rig.post(STREAM);
    expect(quiet.text).not.toContain('prompt_tokens');
    const answer = await rig.post({ ...STREAM, stream_options: { include_usage: true } });
    const chunks = answer.events
      .filter((data) => data !== '[DONE]')
      .map((data) => JSON.parse(data) as Chunk);
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta));
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe('Hello ☺');
    const calls = deltas.flatMap(({ tool_calls: list }) => list ?? []);
    expect(calls[0]).toMatchObject({ index: 0, id: 'toolu_1', function: { name: 'find' } });
    expect(calls.map((call) => call.function.arguments).join('')).toBe('{"q":1}');
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('tool_calls');
    expect(chunks.at(-1)!.usage).toMatchObject({ prompt_tokens: 20, completion_tokens: 5 });
    expect(answer.events.at(-1)).toBe('[DONE]');
    expect(await rig.charged()).toBe(2 * (20 + 50));
  });

  it('that breaks is charged for its input and what was delivered, and says so', async () => {
    await start();
    rig.upstream.usually(events([opening, textDelta('x'.repeat(32))], 'cut'));
    const answer = await rig.post(STREAM);
    expect(answer.text).not.toContain('[DONE]');
    expect(await rig.charged()).toBe(20 + 10 * 10);
    expect(await rig.lastUsage()).toMatchObject({ estimated: true });
  });

  it('with an error in its middle passes it on; with one before any output it is an error and free', async () => {
    await start();
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
    rig.upstream.next(events([opening, textDelta('Hel'), error]));
    const late = await rig.post(STREAM);
    expect(late.text).toContain('Overloaded');
    const charged = await rig.charged();
    expect(charged).toBeGreaterThan(20);
    rig.upstream.next(events([error]));
    const early = await rig.post(STREAM);
    expect(early.json['code']).toBe('upstream_failed');
    expect(await rig.charged()).toBe(charged);
  });
});

interface Chunk {
  choices: {
    finish_reason: string | null;
    delta: {
      content?: string;
      tool_calls?: { index: number; id?: string; function: { name?: string; arguments: string } }[];
    };
  }[];
  usage?: object;
}

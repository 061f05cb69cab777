import { describe, expect, it } from 'vitest';
import { askedOf, toMessage } from '../../src/providers/messages-answer.ts';
import { toChat } from '../../src/providers/messages-request.ts';
import { MessagesFromChatMeter } from '../../src/providers/messages-stream.ts';

const LIMIT = { field: 'max_tokens', tokens: 100 };
const chat = (body: Record<string, unknown>) => toChat(body, 'up-1', LIMIT);
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
const messages = (body: Record<string, unknown>) => chat(body)['messages'] as unknown[];

describe('Anthropic’s body over chat completions', () => {
  it('says the same in OpenAI’s words', () => {
    const body = {
      model: 'm1',
      max_tokens: 5,
      system: [
        { type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } },
        { type: 'text', text: 'Be kind.' },
      ],
      messages: [
        { role: 'user', content: 'Find boats.' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature: 's' },
            { type: 'text', text: 'Let me ' },
            { type: 'text', text: 'look.' },
            { type: 'tool_use', id: 't1', name: 'find', input: { q: 'boats' } },
            { type: 'tool_use', id: 't2', name: 'find', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't1', content: 'three' },
            {
              type: 'tool_result',
              tool_use_id: 't2',
              is_error: true,
              content: [
                { type: 'text', text: 'a' },
                { type: 'text', text: 'b' },
                {
                  type: 'image',
                  source: { type: 'base64', media_type: 'image/png', data: 'iVBO' },
                },
              ],
            },
            { type: 'text', text: 'And?' },
          ],
        },
      ],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      stop_sequences: ['END'],
      metadata: { user_id: 'u' },
      output_config: { effort: 'low', format: { type: 'json_schema', schema: { type: 'object' } } },
    };
    expect(chat(body)).toEqual({
      model: 'up-1',
      max_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      stop: ['END'],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'answer', schema: { type: 'object' }, strict: true },
      },
      messages: [
        { role: 'system', content: 'Be brief.\n\nBe kind.' },
        { role: 'user', content: 'Find boats.' },
        {
          role: 'assistant',
          content: 'Let me look.',
          tool_calls: [
            { id: 't1', type: 'function', function: { name: 'find', arguments: '{"q":"boats"}' } },
            { id: 't2', type: 'function', function: { name: 'find', arguments: '{}' } },
          ],
        },
        { role: 'tool', tool_call_id: 't1', content: 'three' },
        { role: 'tool', tool_call_id: 't2', content: 'a\nb' },
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBO' } },
            { type: 'text', text: 'And?' },
          ],
        },
      ],
    });
  });

  it('has documents as text or files, and links as links', () => {
    const [message] = messages(
      user([
        {
          type: 'document',
          title: 'T',
          source: { type: 'text', media_type: 'text/plain', data: 'x' },
        },
        {
          type: 'document',
          source: { type: 'base64', media_type: 'application/pdf', data: 'JVBE' },
        },
        {
          type: 'document',
          source: { type: 'content', content: [{ type: 'text', text: 'y' }] },
        },
        { type: 'image', source: { type: 'url', url: 'https://a.b/c.png' } },
        {
          type: 'search_result',
          title: 'S',
          source: 'https://s',
          content: [{ type: 'text', text: 'z' }],
        },
      ]),
    );
    expect(message).toEqual({
      role: 'user',
      content: [
        { type: 'text', text: 'T\nx' },
        {
          type: 'file',
          file: { filename: 'document.pdf', file_data: 'data:application/pdf;base64,JVBE' },
        },
        { type: 'text', text: 'y' },
        { type: 'image_url', image_url: { url: 'https://a.b/c.png' } },
        { type: 'text', text: 'S\nhttps://s\nz' },
      ],
    });
  });

  it.each([
    [{ type: 'auto' }, { tool_choice: 'auto' }],
    [{ type: 'none' }, { tool_choice: 'none' }],
    [
      { type: 'any', disable_parallel_tool_use: true },
      { tool_choice: 'required', parallel_tool_calls: false },
    ],
    [{ type: 'tool', name: 'f' }, { tool_choice: { type: 'function', function: { name: 'f' } } }],
  ])('has the choice of tools %j', (tool_choice, said) => {
    expect(chat({ ...user('x'), tool_choice })).toMatchObject(said);
  });

  it.each([
    [{ ...user('x'), tools: [{ type: 'bash_20250124', name: 'bash' }] }, 'tools[0]'],
    [{ ...user('x'), tool_choice: { type: 'perhaps' } }, 'tool_choice.type'],
    [{ ...user('x'), output_config: { format: { type: 'xml' } } }, 'output_config.format'],
    [{ messages: [{ role: 'assistant', content: 'Once' }] }, 'messages'],
    [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role'],
    [user([{ type: 'tool_use', id: 'a', name: 'b' }]), 'messages[0].content[0].type'],
    [user([{ type: 'image', source: { type: 'moon' } }]), 'messages[0].content[0].source'],
    [
      user([{ type: 'document', source: { type: 'url', url: 'https://a' } }]),
      'messages[0].content[0].source.type',
    ],
  ])('refuses what would change the answer: %j', (body, field) => {
    const failing = () => chat(body as Record<string, unknown>);
    expect(failing).toThrow(expect.objectContaining({ details: { field } }));
  });
});

describe('a completion as a message', () => {
  const asked = askedOf({ stop_sequences: ['END'], thinking: { type: 'adaptive' } }, 'm1');
  const message = (choice: object, more: object = {}) =>
    JSON.parse(
      toMessage(
        Buffer.from(JSON.stringify({ id: 'chatcmpl-7', choices: [choice], ...more })),
        asked,
      ).toString(),
    ) as Record<string, unknown>;

  it('has its text, thoughts, calls and usage', () => {
    const said = message(
      {
        finish_reason: 'tool_calls',
        message: {
          role: 'assistant',
          content: 'Hi',
          reasoning_content: 'Hm.',
          tool_calls: [
            { id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
            { type: 'function', function: { name: 'g', arguments: '' } },
          ],
        },
      },
      {
        usage: {
          prompt_tokens: 20,
          completion_tokens: 5,
          prompt_tokens_details: { cached_tokens: 8, cache_write_tokens: 2 },
        },
      },
    );
    expect(said).toEqual({
      id: 'msg_7',
      type: 'message',
      role: 'assistant',
      model: 'm1',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: '' },
        { type: 'text', text: 'Hi' },
        { type: 'tool_use', id: 'c1', name: 'f', input: { a: 1 } },
        { type: 'tool_use', id: 'toolu_1', name: 'g', input: {} },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: {
        input_tokens: 10,
        cache_creation_input_tokens: 2,
        cache_read_input_tokens: 8,
        output_tokens: 5,
      },
    });
  });

  it.each([
    [{ finish_reason: 'stop' }, 'end_turn', null],
    [{ finish_reason: 'stop', stop_reason: 'END' }, 'stop_sequence', 'END'],
    [{ finish_reason: 'stop', stop_reason: 'other' }, 'end_turn', null],
    [{ finish_reason: 'length' }, 'max_tokens', null],
    [{ finish_reason: 'content_filter' }, 'refusal', null],
  ])('stopped by %j', (choice, stop_reason, stop_sequence) => {
    const said = message({ ...choice, message: { content: 'x' } });
    expect(said).toMatchObject({ stop_reason, stop_sequence });
  });

  it('hands on arguments that were cut off', () => {
    const call = { id: 'c', function: { name: 'f', arguments: '{"a":' } };
    const said = message({
      finish_reason: 'length',
      message: { content: null, tool_calls: [call] },
    });
    expect(said['content']).toMatchObject([{ input: { invalid_json: '{"a":' } }]);
  });
});

describe('chunks as events', () => {
  const limits = { sseLineBytes: 65_536, secrets: [], reportedCost: null };
  const run = (chunks: string[], asked = askedOf({}, 'm1')) => {
    const meter = new MessagesFromChatMeter(asked, limits);
    const pieces = chunks.flatMap((chunk) => meter.push(Buffer.from(chunk)));
    const { rest, done } = meter.end();
    const text = Buffer.concat([...pieces, ...rest, ...(done ? [done] : [])]).toString();
    const events = [...text.matchAll(/^data: (.*)$/gm)].map(
      ([, data]) => JSON.parse(data!) as Record<string, unknown>,
    );
    return { events, measured: meter.measured() };
  };
  const line = (choice: object | null, more: object = {}) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-1', choices: choice ? [{ index: 0, ...choice }] : [], ...more })}\n\n`;

  it('come out the same however the bytes are cut', () => {
    const text = [
      line({ delta: { role: 'assistant', content: '' } }),
      line({ delta: { content: 'Hé' } }),
      line({ delta: { content: 'llo' } }),
      line({ delta: {}, finish_reason: 'stop' }),
      line(null, { usage: { prompt_tokens: 3, completion_tokens: 2 } }),
      'data: [DONE]\n\n',
    ].join('');
    const whole = run([text]).events;
    const bytes = Buffer.from(text);
    const cut = Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1));
    const meter = new MessagesFromChatMeter(askedOf({}, 'm1'), limits);
    const pieces = cut.flatMap((byte) => meter.push(byte));
    const { rest, done } = meter.end();
    const again = Buffer.concat([...pieces, ...rest, done!]).toString();
    expect([...again.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!))).toEqual(
      whole,
    );
    expect(whole.map(({ type }) => type)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  it('keep thoughts to themselves where nobody asked for them, and count them', () => {
    const chunks = [
      line({ delta: { reasoning_content: 'Hm, let me see.' } }),
      line({ delta: { content: 'Hi' } }),
      line({ delta: {}, finish_reason: 'stop' }),
    ];
    const { events, measured } = run(chunks);
    expect(JSON.stringify(events)).not.toContain('let me see');
    expect(measured.outputBytes).toBe(17);
    expect(events.at(-1)).toEqual({ type: 'message_stop' });
  });

  it('end without [DONE], and with no end where the answer had none', () => {
    const begun = [line({ delta: { content: 'Hi' } })];
    expect(run(begun).events.at(-1)).toMatchObject({ type: 'content_block_delta' });
    const ended = [...begun, line({ delta: {}, finish_reason: 'length' })];
    expect(run(ended).events.at(-2)).toMatchObject({ delta: { stop_reason: 'max_tokens' } });
  });

  it('say an error once, as Anthropic says it', () => {
    const { events } = run([
      line({ delta: { content: 'Hi' } }),
      `data: ${JSON.stringify({ error: { message: 'boom' } })}\n\n`,
      `data: ${JSON.stringify({ error: { message: 'boom' } })}\n\n`,
      'data: [DONE]\n\n',
    ]);
    expect(events.filter(({ type }) => type === 'error')).toEqual([
      { type: 'error', error: { type: 'api_error', message: 'boom' } },
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'error' });
    const named = run([
      line({ delta: { content: 'Hi' } }),
      'event: error\ndata: {"message":"bang"}\n\n',
    ]);
    expect(named.events.at(-1)).toMatchObject({ error: { message: 'bang' } });
  });

  it('keep calls apart, also where they come in turns', () => {
    const call = (index: number, more: object) =>
      line({ delta: { tool_calls: [{ index, ...more }] } });
    const { events } = run([
      call(0, { id: 'a', function: { name: 'f', arguments: '{"x"' } }),
      call(1, { id: 'b', function: { name: 'g', arguments: '{}' } }),
      call(0, { function: { arguments: ':1}' } }),
      line({ delta: {}, finish_reason: 'tool_calls' }),
    ]);
    const json = (index: number) =>
      events
        .filter((event) => event['index'] === index && event['type'] === 'content_block_delta')
        .map(({ delta }) => (delta as { partial_json: string }).partial_json)
        .join('');
    expect(json(0)).toBe('{"x":1}');
    expect(json(1)).toBe('{}');
  });
});

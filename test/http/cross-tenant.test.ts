/**
 * One wallet cannot reach another's state through any field of any route: every paid route, with every field that names something in the
 * upstream's account, in every spelling that could hide it, in front of an upstream that obeys whoever names what it keeps.
 */
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.ts';
import type { Behaviour } from '../support/upstream.ts';

/** What the first wallet has at the upstream, and what is in it. */
const ID = 'kept_7f3a9c';
const SECRET = 'the-first-wallets-secret';

/** Reads as loosely as any reader: whatever way it is written, the id is enough. */
const obey: Behaviour = (response, { body }) => {
  const text = body
    .toString()
    .replaceAll(/\\u([0-9a-fA-F]{4})/g, (_all, hex: string) =>
      String.fromCharCode(parseInt(hex, 16)),
    );
  const said = text.includes(ID) ? SECRET : 'nothing';
  const content = [{ type: 'output_text', text: said, annotations: [] }];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      id: 'x',
      object: 'response',
      status: 'completed',
      output: [{ type: 'message', role: 'assistant', content }],
      choices: [{ index: 0, message: { role: 'assistant', content: said }, finish_reason: 'stop' }],
      data: [{ object: 'embedding', index: 0, embedding: [0.5], of: said }],
      usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
    }),
  );
};

type Member = (name: string, value: unknown) => string;
/** A body with one more member somewhere in it, as `member` writes it. */
type Place = (member: Member) => string;

const MODEL = '"model":"demo-chat","max_tokens":20';
const WORDS = '"messages":[{"role":"user","content":"hi"}]';

/** At the top of every body. */
const FIELDS: [name: string, value: unknown][] = [
  ['previous_response_id', ID],
  ['conversation', ID],
  ['conversation', { id: ID }],
  ['container', ID],
  ['container', { id: ID, skills: [] }],
  ['prompt', { id: ID, version: '2' }],
  ['thread', { id: ID }],
  ['thread_id', ID],
  ['assistant_id', ID],
  ['agent_id', ID],
  ['session_id', ID],
  ['response_id', ID],
  ['conversation_id', ID],
  ['previous_message_id', ID],
  ['diagnostics', { previous_message_id: ID }],
  ['file_ids', [ID]],
  ['attachments', [{ file_id: ID }]],
  ['vector_store_ids', [ID]],
  ['input_file_id', ID],
  ['batch_id', ID],
  ['user_profile_id', ID],
  ['workspace_id', ID],
  ['cached_content', ID],
  ['kv_transfer_params', { remote_block_ids: [ID] }],
  ['extra_body', { google: { cached_content: ID } }],
  ['google', { cachedContent: ID }],
  ['preset', ID],
  ['prompt_id', ID],
  ['mcp_servers', [{ type: 'url', url: 'https://a.b', name: ID }]],
  ['background', ID],
  ['store', ID],
  ['tools', [{ type: 'file_search', vector_store_ids: [ID] }]],
  ['tools', [{ type: 'code_interpreter', container: ID }]],
  ['tools', [{ type: 'mcp', server_label: ID, connector_id: ID }]],
  ['tools', [{ type: 'shell', environment: { container_id: ID } }]],
  ['tools', [{ type: 'code_execution_20250825', name: ID }]],
  ['tools', [{ type: 'memory_bank', id: ID }]],
  ['tools', { 0: { type: 'file_search', vector_store_ids: [ID] } }],
  ['tool_choice', { type: 'mcp', server_label: ID }],
];

/** Inside the messages of a chat. */
const CHAT: [name: string, value: unknown, place: Place][] = [
  ['file_id', ID, (m) => chat(`{"type":"file","file":{${m('file_id', ID)}}}`)],
  ['file_id', ID, (m) => chat(`{"type":"input_image",${m('file_id', ID)}}`)],
  ['file_id', ID, (m) => chat(`{"type":"image_url","image_url":{"url":"x",${m('file_id', ID)}}}`)],
  ['file_id', ID, (m) => chat(`{"type":"text","text":"x",${m('file_id', ID)}}`)],
  ['file_url', ID, (m) => chat(`{"type":"file","file":{${m('file_url', ID)}}}`)],
  ['type', 'stored', (m) => chat(`{"id":"${ID}",${m('type', 'stored')}}`)],
  [
    'audio',
    { id: ID },
    (m) => `{${MODEL},"messages":[{"role":"assistant",${m('audio', { id: ID })}}]}`,
  ],
  [
    'content',
    [{ type: 'file', file: { file_id: ID } }],
    (m) =>
      `{${MODEL},"messages":[{"role":"user",${m('content', [{ type: 'file', file: { file_id: ID } }])}}]}`,
  ],
];
const chat = (part: string) => `{${MODEL},"messages":[{"role":"user","content":[${part}]}]}`;

/** Inside the items of a response. */
const ITEMS: [name: string, value: unknown, place: Place][] = [
  ['type', 'item_reference', (m) => items(`{"id":"${ID}",${m('type', 'item_reference')}}`)],
  [
    'type',
    'image_generation_call',
    (m) => items(`{"id":"${ID}",${m('type', 'image_generation_call')}}`),
  ],
  ['type', 'reasoning', (m) => items(`{"id":"${ID}","summary":[],${m('type', 'reasoning')}}`)],
  ['id', ID, (m) => items(`{"type":"message","role":"assistant",${m('id', ID)}}`)],
  ['id', ID, (m) => items(`{"type":"reasoning","summary":[],${m('id', ID)}}`)],
  ['id', ID, (m) => items(`{"type":"function_call","call_id":"c","name":"f",${m('id', ID)}}`)],
  ['file_id', ID, (m) => parts(`{"type":"input_file",${m('file_id', ID)}}`)],
  ['file_id', ID, (m) => parts(`{"type":"input_image","detail":"auto",${m('file_id', ID)}}`)],
  [
    'output',
    [{ type: 'input_file', file_id: ID }],
    (m) =>
      items(
        `{"type":"function_call_output","call_id":"c",${m('output', [{ type: 'input_file', file_id: ID }])}}`,
      ),
  ],
  [
    'output',
    { type: 'computer_screenshot', file_id: ID },
    (m) => items(`{"type":"computer_call_output","call_id":"c",${m('output', { file_id: ID })}}`),
  ],
];
const items = (item: string) => `{"model":"demo-chat","max_output_tokens":20,"input":[${item}]}`;
const parts = (part: string) => items(`{"role":"user","content":[${part}]}`);

/** Inside the blocks of Anthropic's messages. */
const BLOCKS: [name: string, value: unknown, place: Place][] = [
  ['file_id', ID, (m) => block(`{"type":"image","source":{"type":"file",${m('file_id', ID)}}}`)],
  ['file_id', ID, (m) => block(`{"type":"document","source":{"type":"file",${m('file_id', ID)}}}`)],
  [
    'file_id',
    ID,
    (m) => block(`{"type":"document","source":{"type":"text","data":"x",${m('file_id', ID)}}}`),
  ],
  ['file_id', ID, (m) => block(`{"type":"container_upload",${m('file_id', ID)}}`)],
  ['file_id', ID, (m) => block(`{"type":"text","text":"x",${m('file_id', ID)}}`)],
  [
    'type',
    'mcp_tool_use',
    (m) =>
      block(`{"id":"${ID}","name":"f","server_name":"s","input":{},${m('type', 'mcp_tool_use')}}`),
  ],
  [
    'type',
    'server_tool_use',
    (m) => block(`{"id":"${ID}","name":"f","input":{},${m('type', 'server_tool_use')}}`),
  ],
  [
    'content',
    [{ type: 'image', source: { type: 'file', file_id: ID } }],
    (m) =>
      block(
        `{"type":"tool_result","tool_use_id":"t",${m('content', [{ type: 'image', source: { type: 'file', file_id: ID } }])}}`,
      ),
  ],
];
const block = (text: string) => `{${MODEL},"messages":[{"role":"user","content":[${text}]}]}`;

const quoted = (name: string) => JSON.stringify(name);
const escaped = (name: string) =>
  `"${Array.from(name, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`;
const written = (name: string, value: unknown) => `${name}:${JSON.stringify(value)}`;

/** The ways to write a member, some of which one reader takes for it and another does not. */
const SPELLINGS: Record<string, Member> = {
  plain: (name, value) => written(quoted(name), value),
  escaped: (name, value) => written(escaped(name), value),
  'partly escaped': (name, value) =>
    written(`${escaped(name[0]!).slice(0, -1)}${name.slice(1)}"`, value),
  spaced: (name, value) => `\t${quoted(name)} \n:\r ${JSON.stringify(value)} `,
  capital: (name, value) => written(quoted(name[0]!.toUpperCase() + name.slice(1)), value),
  upper: (name, value) => written(quoted(name.toUpperCase()), value),
  'a long s, a Kelvin sign': (name, value) =>
    written(quoted(name.replaceAll('s', 'ſ').replaceAll('k', '\u212a')), value),
  'twice, first nothing': (name, value) => `${quoted(name)}:null,${written(quoted(name), value)}`,
  'twice, then nothing': (name, value) => `${written(quoted(name), value)},${quoted(name)}:null`,
  'twice, once escaped': (name, value) => `${quoted(name)}:null,${written(escaped(name), value)}`,
};

const BASES: Record<string, string> = {
  '/v1/chat/completions': `${MODEL},${WORDS}`,
  '/api/v1/chat/completions': `${MODEL},${WORDS}`,
  '/api/chat': `${MODEL},${WORDS}`,
  '/v1/embeddings': '"model":"demo-embed","input":"hi"',
  '/api/v1/embeddings': '"model":"demo-embed","input":"hi"',
  '/v1/responses': '"model":"demo-chat","max_output_tokens":20,"input":"hi"',
  '/api/v1/responses': '"model":"demo-chat","max_output_tokens":20,"input":"hi"',
  '/v1/messages': `${MODEL},${WORDS}`,
  '/v1/audio/speech': '"model":"demo-voice","input":"hi","voice":"alloy"',
  '/api/v1/audio/speech': '"model":"demo-voice","input":"hi","voice":"alloy"',
};
/** What is made by tasks is asked for in the words of many upstreams. */
const MADE: Record<string, string> = {
  '/v1/images/generations': '"model":"demo-image","prompt":"hi"',
  '/v1/images/edits': '"model":"demo-edit","prompt":"hi","image":"data:image/png;base64,iVBORw0K"',
  '/v1/videos': '"model":"demo-video","prompt":"hi"',
  '/v1/music/generations': '"model":"demo-music","prompt":"hi"',
  '/api/v1/media/images': '"model":"demo-image","prompt":"hi"',
  '/api/v1/media/videos': '"model":"demo-video","prompt":"hi"',
  '/api/v1/media/music': '"model":"demo-music","prompt":"hi"',
};
const OF_MEDIA: [name: string, value: unknown][] = [
  ...[
    'task_id',
    'video_id',
    'remix_video_id',
    'file_id',
    'image_id',
    'song_id',
    'continue_clip_id',
    'generation_id',
    'character_id',
    'asset_id',
    'previous_response_id',
  ].map((name): [string, unknown] => [name, ID]),
  ['taskId', ID],
  ['image', { file_id: ID }],
  ['image', `file:${ID}`],
  ['image', `asset://${ID}`],
  ['references', [{ id: ID }]],
  ['input', { task_id: ID }],
  ['input', { keyframes: { frame0: { type: 'generation', id: ID } } }],
];

const INSIDE: Record<string, typeof CHAT> = {
  '/v1/chat/completions': CHAT,
  '/api/chat': CHAT,
  '/v1/responses': ITEMS,
  '/v1/messages': BLOCKS,
};

let app: TestApp;
let as: Record<string, string>;

beforeAll(async () => {
  app = await startApp({
    change: ({ limits }) => {
      limits.failedRequests.count = 0;
      for (const tier of Object.values(limits.rates)) tier.requestsPerMinute = 0;
    },
  });
  app.upstream.usually(obey);
  const { secret } = await app.key('5');
  as = { authorization: `Bearer ${secret}` };
});
afterAll(() => app[Symbol.asyncDispose]());

/** What the second wallet gets, and whether the upstream heard of the id at all. */
async function ask(path: string, body: string) {
  const before = app.upstream.requests.length;
  const answer = await app.post(path, body, as);
  const sent = app.upstream.requests.slice(before).map(({ body: bytes }) => bytes.toString());
  return { status: answer.status, hasSecret: answer.text.includes(SECRET), sent };
}

describe('state of another’s at the upstream', () => {
  it('is there for whoever names it: this upstream would obey', async () => {
    const body = `{${MODEL},"messages":[{"role":"user","content":"${ID}"}]}`;
    expect(await ask('/v1/chat/completions', body)).toMatchObject({ status: 200, hasSecret: true });
    const escapedText = body.replace(ID, ID.replace('k', '\\u006b'));
    expect((await ask('/v1/chat/completions', escapedText)).hasSecret).toBe(true);
  });

  it('is tried for at every paid route that takes JSON of a token model, or text to speak', () => {
    const paid = app.app.routes.filter(
      ({ method, right }) => method === 'post' && right === 'infer',
    );
    const known = paid.map(({ path }) => path).filter((path) => path in BASES);
    expect(known.toSorted()).toEqual(Object.keys(BASES).toSorted());
  });

  it.each(Object.entries(BASES))(
    'cannot be named at the top of a body to %s',
    async (path, base) => {
      const leaks: string[] = [];
      let isFirst = false;
      for (const [name, value] of FIELDS) {
        for (const [spelling, member] of Object.entries(SPELLINGS)) {
          isFirst = !isFirst;
          const hidden = member(name, value);
          const body = isFirst ? `{${hidden},${base}}` : `{${base},${hidden}}`;
          const { status, hasSecret, sent } = await ask(path, body);
          if (hasSecret || sent.length || status !== 400)
            leaks.push(`${spelling}: ${body} ${status}`);
        }
      }
      expect(leaks).toEqual([]);
    },
  );

  it.each(Object.entries(INSIDE))('cannot be named inside a body to %s', async (path, places) => {
    const leaks: string[] = [];
    for (const [, , place] of places) {
      for (const [spelling, member] of Object.entries(SPELLINGS)) {
        const body = place(member);
        const { status, hasSecret, sent } = await ask(path, body);
        if (hasSecret || sent.length || status !== 400)
          leaks.push(`${spelling}: ${body} ${status}`);
      }
    }
    expect(leaks).toEqual([]);
  });

  it.each(Object.entries(MADE))('cannot be named in what %s makes', async (path, base) => {
    const leaks: string[] = [];
    for (const [name, value] of OF_MEDIA) {
      for (const [spelling, member] of Object.entries(SPELLINGS)) {
        const body = `{${base},${member(name, value)}}`;
        // Such bodies are written anew for the upstream: what is gone once they are read is gone.
        if (!JSON.stringify(JSON.parse(body)).includes(ID)) continue;
        const { status } = await ask(path, body);
        if (status !== 400) leaks.push(`${spelling}: ${body} ${status}`);
      }
    }
    expect(leaks).toEqual([]);
  });

  it('moved no money', async () => {
    await app.check();
  });
});

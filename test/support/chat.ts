import { ZERO_USD, parseUsd } from '../../src/money.ts';
/** The chat path on a real ledger, behind the least HTTP server that can carry it, in front of a scripted upstream. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Catalogue } from '../../src/catalogue.ts';
import type { ChatCall } from '../../src/chat/call.ts';
import { Byok } from '../../src/chat/byok.ts';
import { Chat } from '../../src/chat/chat.ts';
import type { Kind } from '../../src/chat/kinds.ts';
import type { ChannelConfig, TokenModel } from '../../src/config/config.ts';
import { AppError } from '../../src/errors.ts';
import type { Log, LogFields } from '../../src/log.ts';
import { PriceLists } from '../../src/price-lists.ts';
import { Quotes } from '../../src/quotes.ts';
import { Routing } from '../../src/routing/routing.ts';
import { Traffic } from '../../src/routing/traffic.ts';
import { Upstream } from '../../src/upstream.ts';
import { Vault } from '../../src/vault.ts';
import { type TestStore, testStore } from './store.ts';
import { startUpstream, type TestUpstream } from './upstream.ts';

export const KEY = 'sk-upstream-0123456789abcdef';

/** 1 nano-dollar an input token, 10 an output token: charges can be read off the counts. */
export const MODEL: TokenModel = {
  id: 'm1',
  type: 'text',
  name: null,
  description: null,
  aliases: [],
  capabilities: [],
  traits: [],
  context: 100_000,
  maxOutput: 1_000,
  defaultOutput: 100,
  routes: [{ channel: 'main', model: 'up-1' }],
  price: {
    version: 'v1',
    rules: [
      { unit: 'input_token', per: 1_000_000, usd: '0.001' },
      { unit: 'output_token', per: 1_000_000, usd: '0.01' },
    ],
  },
};

export function channel(baseUrl: string, more: Partial<ChannelConfig> = {}): ChannelConfig {
  return {
    id: 'main',
    provider: 'openai',
    baseUrl,
    apiKey: KEY,
    headers: {},
    removeHeaders: [],
    params: { set: {}, remove: [] },
    group: 'default',
    priority: 0,
    weight: 1,
    concurrency: 256,
    queue: { size: 1_024, waitMs: 5_000 },
    retryOn: null,
    statusMap: {},
    timeout: { firstByteMs: 5_000, idleMs: 5_000, totalMs: 20_000 },
    onDisconnect: 'abort',
    outputLimitField: 'max_tokens',
    streamOptions: true,
    responses: true,
    reportedCost: null,
    dialect: 'openai',
    vendor: null,
    ...more,
  };
}

export interface RigOptions {
  /** What is sold; chats by default. */
  kind?: Kind;
  channel?: Partial<ChannelConfig>;
  model?: Partial<TokenModel>;
  limits?: Partial<{ sseLineBytes: number; sseKeepAliveMs: number; upstreamBodyBytes: number }>;
  /** Instead of the scripted upstream. */
  baseUrl?: string;
  /** Instead of the one channel. */
  channels?: ChannelConfig[];
  usd?: string;
  stickyMs?: number;
  /** Of the choice among channels. */
  random?: () => number;
}

export interface Logged extends LogFields {
  event: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown>;
  /** Of a stream, the data of its events, and what its last comment says. */
  events: string[];
  final: { cost: string; balance_remaining: string; balance_held: string } | null;
}

export interface Rig extends AsyncDisposable {
  url: string;
  store: TestStore;
  upstream: TestUpstream;
  catalogue: Catalogue;
  chat: Chat;
  traffic: Traffic;
  routing: Routing;
  account: string;
  logged: Logged[];
  /** Requests that the server has fully dealt with. */
  settled(count: number): Promise<void>;
  post(body: unknown, options?: PostOptions): Promise<Answer>;
  open(body: unknown, options?: PostOptions): Promise<Response>;
  /** What the account paid so far, in nano-dollars. */
  charged(): Promise<number>;
  held(): Promise<number>;
  /** The JSON that the last resolved hold keeps of its usage. */
  lastUsage(): Promise<Record<string, unknown> | null>;
}

export interface PostOptions {
  mode?: 'clamp' | 'refuse';
  as?: string;
  dialect?: 'v1' | 'venice';
  signal?: AbortSignal;
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const upstream = await startUpstream();
  const store = await testStore();
  const account = await store.wallet(options.usd ?? '1');
  const key = await store.keys.create({ accountId: account, type: 'INFERENCE', description: '' });
  const logged: Logged[] = [];
  const catalogue = new Catalogue([{ ...MODEL, ...options.model }]);
  const channels = options.channels ?? [channel(options.baseUrl ?? upstream.url, options.channel)];
  const limits = {
    sseLineBytes: 65_536,
    sseKeepAliveMs: 15_000,
    upstreamBodyBytes: 8_000_000,
    ...options.limits,
  };
  const traffic = new Traffic();
  const ways = new Upstream(limits, traffic);
  const routing = new Routing(channels, {
    clock: store.clock,
    isBusy: (each) => ways.isBusy(each),
    traffic,
    stickyMs: options.stickyMs ?? 0,
    ...(options.random && { random: options.random }),
  });
  const { ledger, clock } = store;
  const log = recordingLog(logged);
  const priceLists = new PriceLists({ ledger, catalogue, clock });
  const quotes = new Quotes({ priceLists, secret: store.secretFor('quotes'), clock });
  const fee = { percent: '0', perRequest: ZERO_USD };
  const vault = new Vault(ledger, store.masterKey.values);
  const chat = new Chat({
    ...(options.kind && { kind: options.kind }),
    byok: new Byok({ vault, routing, fee }),
    ledger,
    quotes,
    catalogue,
    routing,
    upstream: ways,
    limits,
    clock,
    log,
    creditUsd: parseUsd('0.01'),
  });
  const done = { count: 0, waiting: [] as { count: number; resolve: () => void }[] };
  const server = createServer((request, response) => {
    void serve(chat, account, key.id, request, response).finally(() => {
      done.count++;
      for (const waiter of done.waiting) if (done.count >= waiter.count) waiter.resolve();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const open = (body: unknown, post: PostOptions = {}) =>
    fetch(url, {
      method: 'POST',
      body:
        typeof body === 'string' || Buffer.isBuffer(body)
          ? new Uint8Array(Buffer.from(body))
          : JSON.stringify(body),
      headers: {
        'x-mode': post.mode ?? 'clamp',
        'x-dialect': post.dialect ?? 'v1',
        ...(post.as !== undefined && { 'x-as': post.as }),
      },
      ...(post.signal && { signal: post.signal }),
    });
  const holds = () => ledger.read.selectFrom('holds').selectAll().where('account_id', '=', account);
  return {
    url,
    store,
    upstream,
    catalogue,
    chat,
    traffic,
    routing,
    account,
    logged,
    settled: (count) =>
      new Promise((resolve) => {
        if (done.count >= count) resolve();
        else done.waiting.push({ count, resolve });
      }),
    open,
    post: async (body, post) => readAnswer(await open(body, post)),
    charged: async () => (await holds().execute()).reduce((sum, hold) => sum + hold.captured, 0),
    held: async () => (await store.accounts.balance(account)).held,
    lastUsage: async () => {
      const row = await holds()
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .executeTakeFirst();
      return row?.usage ? (JSON.parse(row.usage) as Record<string, unknown>) : null;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await ways.close();
      await upstream.close();
      await store.check();
      await store[Symbol.asyncDispose]();
    },
  };
}

async function serve(
  chat: Chat,
  account: string,
  keyId: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  request.on('error', () => {});
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  try {
    await chat.run(callOf(account, keyId, request, Buffer.concat(chunks), response, gone.signal));
  } catch (error) {
    if (!(error instanceof AppError) || response.headersSent) throw error;
    const { code, message, details, retryAfterSeconds } = error;
    response.writeHead(599, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ code, message, details, retryAfterSeconds }));
  }
}

function callOf(
  account: string,
  keyId: string,
  { headers }: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  signal: AbortSignal,
): ChatCall {
  const as = headers['x-as'];
  const wallet = { family: 'eip155' as const, address: '0xabc', chain: '' };
  return {
    principal:
      as === 'key'
        ? {
            kind: 'key',
            role: 'inference',
            accountId: account,
            keyId,
            keyType: 'INFERENCE',
            ancestors: [],
            rules: [],
            rates: [],
            isBound: false,
          }
        : {
            kind: 'wallet',
            role: 'wallet',
            accountId: as === 'stranger' ? null : ((as as string) ?? account),
            wallet,
          },
    requestId: 'req_1',
    body,
    mode: headers['x-mode'] as 'clamp' | 'refuse',
    dialect: headers['x-dialect'] as 'v1' | 'venice',
    maxCredits: (headers['x-max-credits'] as string | undefined) ?? null,
    quoteId: null,
    minimumAvailable: ZERO_USD,
    admit: () => Promise.resolve({ settle: () => {} }),
    signal,
    reply: {
      head: (status, fields) => {
        response.writeHead(status, fields);
      },
      write: (chunk) => response.write(chunk),
      destroy: () => {
        response.destroy();
      },
      drained: () =>
        new Promise((resolve) => {
          response.once('drain', resolve);
          response.once('close', resolve);
        }),
      end: (chunk) => {
        response.end(chunk);
      },
    },
  };
}

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
  const comment = /^: farebox (.*)$/m.exec(text)?.[1];
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isStream ? {} : (JSON.parse(text) as Record<string, unknown>),
    events: isStream ? [...text.matchAll(/^data: ?(.*?)\r?$/gm)].map((match) => match[1]!) : [],
    final: comment ? (JSON.parse(comment) as Answer['final']) : null,
  };
}

function recordingLog(logged: Logged[]): Log {
  const record = (event: string, fields: LogFields = {}) => {
    logged.push({ event, ...fields });
  };
  return { debug: record, info: record, warn: record, error: record };
}

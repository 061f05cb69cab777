/** A live server over several upstreams, and owners who store provider keys in it. */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { ChannelConfig, Config } from '../../src/config/config.ts';
import type { ByokFee } from '../../src/pricing/byok.ts';
import { type Answer, chatBody, startApp, type TestApp, textOf } from './app.ts';
import { channel, MODEL } from './chat.ts';
import { startUpstream, type TestUpstream } from './upstream.ts';

export const PATH = '/api/v1/provider-keys';
export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
export const newKey = () => `sk-own-${randomBytes(12).toString('hex')}`;

export interface ByokOptions {
  /** Of each channel, in the order of their priority: c0, c1 … each with an upstream and an operator's key of its own. */
  channels?: Partial<ChannelConfig>[];
  fee?: ByokFee;
  dataDir?: string;
  change?(config: Config): void;
}

export interface ByokApp extends TestApp {
  upstreams: TestUpstream[];
  /** What each upstream saw as the credential of its requests. */
  saw(index: number): (string | undefined)[];
  owner(usd?: string): Promise<KeyOwner>;
}

export interface KeyOwner {
  accountId: string;
  secret: string;
  store(provider: string, key: string): Promise<Answer>;
  remove(id: string): Promise<Answer>;
  chat(more?: object): Promise<Answer>;
  /** What is available, in nano-dollars. */
  left(): Promise<number>;
}

export const platformKey = (index: number) => `sk-platform-${index}-0123456789`;

export async function startByok(options: ByokOptions = {}): Promise<ByokApp> {
  const wanted = options.channels ?? [{ vendor: 'acme' }];
  const upstreams = await Promise.all(wanted.map(() => startUpstream()));
  const channels = wanted.map((more, index) =>
    channel(upstreams[index]!.url, {
      id: `c${index}`,
      priority: -index,
      apiKey: platformKey(index),
      ...more,
    }),
  );
  const routes = channels.map(({ id }) => ({ channel: id, model: 'up-1' }));
  const app = await startApp({
    environment: { SANDBOX: '0' },
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
    change: (config) => {
      config.channels = channels;
      config.models = [
        { ...MODEL, routes },
        ...routes.map((route) => ({ ...MODEL, id: `only-${route.channel}`, routes: [route] })),
      ];
      if (options.fee) config.byok = options.fee;
      options.change?.(config);
    },
  });
  return {
    ...app,
    upstreams,
    saw: (index) => upstreams[index]!.requests.map(({ headers }) => headers.authorization),
    owner: (usd) => newOwner(app, usd),
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]();
      await Promise.all(upstreams.map((upstream) => upstream.close()));
    },
  };
}

async function newOwner(app: TestApp, usd = '1'): Promise<KeyOwner> {
  const { secret, accountId } = await app.key(usd, 'ADMIN');
  return ownerOf(app, secret, accountId);
}

export function ownerOf(app: TestApp, secret: string, accountId: string): KeyOwner {
  const headers = bearer(secret);
  return {
    accountId,
    secret,
    store: (provider, key) => app.post(PATH, { provider, key }, headers),
    remove: async (id) => {
      const response = await fetch(`${app.url}${PATH}/${id}`, { method: 'DELETE', headers });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: {} };
    },
    chat: (more) => app.post('/v1/chat/completions', chatBody({ model: 'm1', ...more }), headers),
    left: async () => {
      const { posted, held } = await app.app.store.accounts.balance(accountId);
      return posted - held;
    },
  };
}

export async function stored(owner: KeyOwner, provider: string, key: string): Promise<string> {
  const answer = await owner.store(provider, key);
  expect([answer.status, answer.text]).toEqual([201, answer.text]);
  return textOf(answer.json['id']);
}

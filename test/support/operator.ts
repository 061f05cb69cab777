/** An operator of a running server, by its key. */
import { expect } from 'vitest';
import type { NewKey } from '../../src/keys/keys.ts';
import { type Json, listOf, type TestApp } from './app.ts';

export interface Reply {
  status: number;
  text: string;
  json: Json;
}

export interface OperatorClient {
  secret: string;
  keyId: string;
  send(method: string, path: string, body?: unknown): Promise<Reply>;
  get(path: string): Promise<Reply>;
  /** The data of a list, after checking that it is one. */
  list(path: string): Promise<Json[]>;
  post(path: string, body: object): Promise<Reply>;
  patch(path: string, body: object): Promise<Reply>;
  /** Newest first: actor, action, target, reason, detail. */
  audit(query?: string): Promise<Json[]>;
}

const BASE = '/admin/api';

export async function send(
  app: TestApp,
  method: string,
  path: string,
  headers: object,
  body?: unknown,
): Promise<Reply> {
  const response = await fetch(app.url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, json: (text ? JSON.parse(text) : {}) as Json };
}

export async function operator(app: TestApp, key: Partial<NewKey> = {}): Promise<OperatorClient> {
  const { secret, id } = await app.app.store.keys.create({
    type: 'ADMIN',
    description: 'operator',
    ...key,
  });
  const headers = { authorization: `Bearer ${secret}` };
  const call = (method: string, path: string, body?: unknown) =>
    send(app, method, BASE + path, headers, body);
  const list = async (path: string) => {
    const { status, text, json } = await call('GET', path);
    expect([status, text]).toEqual([200, text]);
    return listOf(json['data']);
  };
  return {
    secret,
    keyId: id,
    send: call,
    get: (path) => call('GET', path),
    list,
    post: (path, body) => call('POST', path, body),
    patch: (path, body) => call('PATCH', path, body),
    audit: (query = '') => list(`/audit${query}`),
  };
}

export const because = { reason: 'for a test' };

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DemoUpstream, startDemoUpstream } from '../../../src/demo-upstream.ts';
import { documentedPath } from '../../../src/http/discovery/described.ts';
import { type EvmWallet, readAnswer, startApp, type TestApp, textOf } from '../../support/app.ts';
import {
  type Contract,
  type ContractDocument,
  contractOf,
  type DocumentedOperation,
} from '../../support/contract-document.ts';
import { newWallet } from '../../support/evm-payment.ts';
import { wav } from '../../support/media.ts';
import { operator, type OperatorClient } from '../../support/operator.ts';

type Body = Record<string, unknown>;

let demo: DemoUpstream;
let app: TestApp;
let wallet: EvmWallet;
let accountId: string;
let house: OperatorClient;
let adminKey: string;
let contract: Contract;
let names: Record<string, string>;

beforeAll(async () => {
  demo = await startDemoUpstream({ delayMs: 0 });
  app = await startApp({
    demoUrl: demo.url,
    change: ({ limits }) => {
      limits.failedRequests.count = 0;
    },
  });
  wallet = await app.evm('100');
  accountId = (await app.app.store.accounts.walletAccount({ ...wallet, chain: '' }))!;
  house = await operator(app);
  const admin = { accountId, type: 'ADMIN', description: '' } as const;
  adminKey = (await app.app.store.keys.create(admin)).secret;
  const { json } = await app.get('/openapi.json');
  contract = contractOf(json as unknown as ContractDocument);
  names = await things();
}, 120_000);
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await demo[Symbol.asyncDispose]();
});

async function signedIn(): Promise<Record<string, string>> {
  return { 'sign-in-with-x': await wallet.signIn() };
}

/** One of everything that a path or an example can name. */
async function things(): Promise<Record<string, string>> {
  const task = await made('/v1/images/generations', 'demo-image', 'id');
  const done = await app.get(`/v1/tasks/${task}`, await signedIn());
  const link = new URL(textOf(done.json['result']!['url'])).pathname.split('/');
  const payment = { 'payment-signature': await wallet.pay('5') };
  const paid = await app.post('/api/v1/x402/top-up', '', payment);
  const asked = { amount_usd: '0.1' };
  const payout = await app.post('/api/v1/x402/payouts', asked, await signedIn());
  const given = { amountUsd: '1', reason: 'For a test.' };
  const grant = await house.post(`/accounts/${accountId}/grants`, given);
  return {
    wallet: wallet.address,
    preset: 'try-on',
    '/v1/models': 'demo-chat',
    '/media': link.at(-3)!,
    token: link.at(-2)!,
    name: link.at(-1)!,
    tasks: task,
    payments: textOf(paid.json['data']!['paymentId']),
    payouts: textOf(payout.json['data']!['id']),
    accounts: accountId,
    channels: 'demo',
    adjustment: textOf(grant.json['id']),
    '/api/v1/video': await made('/api/v1/video/queue', 'demo-video', 'queue_id'),
    '/api/v1/audio': await made('/api/v1/audio/queue', 'demo-music', 'queue_id'),
  };
}

/** A task that is done. */
async function made(path: string, model: string, field: string): Promise<string> {
  const answer = await app.post(path, { model, prompt: 'A red fox.' }, await signedIn());
  const id = textOf(answer.json[field]);
  const done = await app.get(`/v1/tasks/${id}?wait=20`, await signedIn());
  expect(done.json['status']).toBe('completed');
  return id;
}

async function ended(task: unknown): Promise<void> {
  if (typeof task === 'string') await app.get(`/v1/tasks/${task}?wait=20`, await signedIn());
}

const newKey = async (): Promise<string> =>
  (await app.app.store.keys.create({ accountId, type: 'INFERENCE', description: '' })).id;

/** Keys end when they are deleted: each request names one of its own. */
async function named(path: string): Promise<string> {
  let url = path;
  for (const [slot, name] of path.matchAll(/\{(\w+)\}/g)) {
    const before = url.slice(0, url.indexOf(slot)).replace(/\/$/, '');
    const kind = before.split('/').at(-1)!;
    const isKey = kind === 'keys' || kind === 'api_keys';
    const id =
      (isKey ? await newKey() : undefined) ??
      names[name!] ??
      names[before] ??
      names[kind] ??
      'none';
    url = url.replace(slot, encodeURIComponent(id));
  }
  return url;
}

async function headersOf(
  path: string,
  operation: DocumentedOperation,
): Promise<Record<string, string>> {
  const callers = operation['x-callers'];
  if (!callers) return {};
  if (!callers.includes('wallet')) return { authorization: `Bearer ${house.secret}` };
  // Of its payments a wallet alone is told.
  return callers.includes('admin') && !path.includes('/x402/')
    ? { 'x-api-key': adminKey }
    : signedIn();
}

async function send(method: string, url: string, headers: Record<string, string>, body?: unknown) {
  const isForm = body instanceof FormData || body instanceof URLSearchParams;
  const response = await fetch(app.url + url, {
    method: method.toUpperCase(),
    headers: {
      ...headers,
      accept: 'application/json',
      ...(body !== undefined && !isForm && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && {
      body: isForm || typeof body === 'string' ? body : JSON.stringify(body),
    }),
  });
  const { status, json } = await readAnswer(response);
  return { status, json, type: response.headers.get('content-type') ?? '' };
}

/** The document's example, with things that are there in the place of made-up ids. */
async function goodBody(
  path: string,
  { requestBody }: DocumentedOperation,
): Promise<Body | FormData | URLSearchParams | undefined> {
  if (!requestBody) return undefined;
  if (path === '/balance') return signedForm();
  const example = requestBody.content['application/json']?.example;
  if (!example) {
    const form = new FormData();
    form.set('model', 'demo-ears');
    form.set('file', new Blob([wav()]), 'a.wav');
    return form;
  }
  if ('queue_id' in example) return { queue_id: names[path.replace(/\/\w+$/, '')] };
  if (path === '/api/v1/api_keys' && 'id' in example) return { ...example, id: await newKey() };
  if (!('token' in example)) return example;
  const { json } = await app.get(path);
  const token = textOf(json['data']!['token']);
  const account = newWallet();
  return {
    ...example,
    token,
    address: account.address,
    signature: await account.signMessage({ message: token }),
  };
}

async function signedForm(): Promise<URLSearchParams> {
  const account = newWallet();
  const { text } = await app.get(`/balance?wallet=${account.address}`);
  const message = /<textarea[^>]* readonly[^>]*>\n?([^<]*)</.exec(text)![1]!;
  const signature = await account.signMessage({ message });
  return new URLSearchParams({ wallet: account.address, message, signature });
}

/** What the document says must be there. */
async function queryOf({ parameters }: DocumentedOperation): Promise<string> {
  const query = new URLSearchParams();
  for (const { name, required } of parameters.filter((each) => each.in === 'query')) {
    if (name === 'id') query.set(name, await newKey());
    else if (required) query.set(name, 'For a test.');
  }
  return query.size ? `?${query}` : '';
}

function operations(): [method: string, path: string, DocumentedOperation][] {
  const order = ['get', 'post', 'patch', 'put', 'delete'];
  return Object.entries(contract.document.paths)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, each]): [string, string, DocumentedOperation] => [
        method,
        path,
        each,
      ]),
    )
    .toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b));
}

/** What is right and cannot be done with what a test has: each says why, in the document's shape. */
const REFUSED: Record<string, number> = {
  'get /api/v1/billing/usage': 410,
  // Nothing was delivered.
  'post /v1/tasks/{id}/redeliver': 404,
  'post /admin/api/webhooks/{id}/redeliver': 404,
  // The sandbox hears nothing through links.
  'post /api/v1/video/transcriptions': 503,
  // Approved, and so sent, one request before.
  'post /admin/api/payouts/{id}/sent': 400,
  'post /admin/api/payouts/{id}/cancel': 409,
  'delete /v1/tasks/{id}': 409,
  'delete /api/v1/media/tasks/{id}': 409,
  'delete /api/v1/provider-keys/{id}': 404,
};

describe('the contract', () => {
  it('has every route that is served, and no other', () => {
    const served = app.app.routes.map(({ method, path }) => `${method} ${documentedPath(path)}`);
    const documented = operations().map(([method, path]) => `${method} ${path}`);
    expect(documented.toSorted()).toEqual([...new Set(served)].toSorted());
    expect(documented.length).toBeGreaterThan(100);
  });

  it('is kept by the answer to every good request', { timeout: 120_000 }, async () => {
    const broken: string[] = [];
    const refused: Record<string, number> = {};
    for (const [method, path, each] of operations()) {
      const name = `${method} ${path}`;
      const headers = path.endsWith('/top-up')
        ? { 'payment-signature': await wallet.pay('5') }
        : await headersOf(path, each);
      const body = await goodBody(path, each);
      const url = (await named(path)) + (await queryOf(each));
      const got = await send(method, url, headers, body);
      const fault = contract.faultsOf(each, got);
      if (fault) broken.push(`${name} -> ${got.status} ${fault} ${JSON.stringify(got.json)}`);
      if (got.status >= 400) refused[name] = got.status;
      await ended(got.json['queue_id'] ?? got.json['task_id']);
    }
    expect(broken).toEqual([]);
    expect(refused).toEqual(REFUSED);
    for (const payout of await house.list('/payouts')) {
      await house.post(`/payouts/${textOf(payout['id'])}/cancel`, { reason: 'For a test.' });
    }
    await app.check();
  });

  it(
    'is kept by the answer to every bad body, and says which are bad',
    { timeout: 120_000 },
    async () => {
      const broken: string[] = [];
      let tried = 0;
      for (const [method, path, each] of operations()) {
        for (const body of badBodies(each)) {
          const url = (await named(path)) + (await queryOf(each));
          const got = await send(method, url, await headersOf(path, each), body);
          tried += 1;
          const fault = contract.faultsOf(each, got);
          // A form that is none is of the wrong type.
          const isRefused = got.status === 400 || (body === '[]' && got.status === 415);
          if (isRefused && fault === '') continue;
          broken.push(
            `${method} ${path} ${JSON.stringify(body)} -> ${got.status} ${fault} ${JSON.stringify(got.json).slice(0, 300)}`,
          );
        }
      }
      expect(broken).toEqual([]);
      expect(tried).toBeGreaterThan(200);
      await app.check();
    },
  );

  it('is kept by the answer to whoever may not ask', { timeout: 120_000 }, async () => {
    const broken: string[] = [];
    for (const [method, path, each] of operations()) {
      const url = await named(path);
      const isOpen = each.security.length === 0;
      const headers: Record<string, string> = isOpen ? {} : { authorization: 'Bearer ck_none' };
      const got = await send(isOpen ? 'put' : method, url, headers);
      const fault = contract.faultsOf(each, got);
      const right = isOpen ? 405 : 401;
      if (got.status !== right || fault) broken.push(`${method} ${path} -> ${got.status} ${fault}`);
    }
    expect(broken).toEqual([]);
  });
});

/** Of each field that cannot be anything, a wrong one; and no object at all. */
function badBodies({ requestBody, ...each }: DocumentedOperation): unknown[] {
  const json = requestBody?.content['application/json'];
  if (!requestBody) return [];
  if (!json) return ['[]'];
  const { properties = {} } = json.schema as { properties?: Body };
  const wrong = Object.keys(properties).map((name) => ({
    ...json.example,
    [name]: [{ wrong: {} }],
  }));
  return [
    '[]',
    ...wrong.filter((body) => !contract.takes({ ...each, requestBody: requestBody! }, body)),
  ];
}

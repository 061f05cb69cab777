import { expect, it, describe } from 'vitest';
import type { Config } from '../src/config/config.ts';
import { checkReach } from '../src/doctor/reach.ts';
import { chatBody, type Json, PLAY_EVM, PLAY_SOLANA, startApp } from './support/app.ts';
import { sendRaw } from './support/raw-http.ts';
import {
  DONE,
  ROLE,
  startStream,
  STOP,
  usageEvent,
  whole,
  words,
  write,
} from './support/upstream.ts';

const STREAMS = 50;
const RELOADS = 20;
const REQUESTS_EACH = 10;
/** Of 20 tokens in and 5 out, as the sandbox sells them: 0.25 and 2 dollars a million. */
const OLD = '0.000015';
const NEW = '0.00003';

/** The n-th settings: odd ones cost twice as much, go over another channel, and take no Solana. */
function settings(first: Config, n: number): Config {
  if (n % 2 === 0) return { ...first };
  const models = first.models.map((model) =>
    model.id === 'demo-chat'
      ? {
          ...model,
          routes: [{ channel: 'other', model: 'demo-chat' }],
          price: {
            ...model.price,
            rules: model.price.rules.map((rule) => ({
              ...rule,
              usd: String(Number(rule.usd) * 2),
            })),
          },
        }
      : model,
  ) as Config['models'];
  const [channel] = first.channels;
  const channels = [...first.channels, { ...channel!, id: 'other' }];
  const networks = first.payments.networks.filter(({ network }) => network !== PLAY_SOLANA);
  return { ...first, models, channels, payments: { ...first.payments, networks } };
}

describe('a reload', () => {
  it('drops and cuts nothing under load, and each charge is of the price that it was held at', async () => {
    await using app = await startApp();
    const first = app.app.config;
    const { secret } = await app.key('5');
    const headers = { authorization: `Bearer ${secret}` };
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    app.upstream.usually(async (response, request) => {
      if (request.json['stream'] !== true) {
        await whole()(response, request);
        return;
      }
      startStream(response);
      await write(response, ROLE);
      await released;
      for (const piece of [...words(3), STOP, usageEvent(), DONE]) await write(response, piece);
      response.end();
    });
    const streams = Array.from({ length: STREAMS }, () => app.chat(headers, { stream: true }));
    await app.upstream.arrived(STREAMS);
    const calls: ReturnType<typeof app.chat>[] = [];
    const topUps: ReturnType<typeof app.post>[] = [];
    for (let n = 1; n <= RELOADS; n++) {
      for (let i = 0; i < REQUESTS_EACH; i++) calls.push(app.chat(headers));
      const payer = await app.evm();
      const paid = { 'payment-signature': await payer.pay('1') };
      topUps.push(app.post('/api/v1/x402/top-up', '{}', paid));
      const broken = structuredClone(first);
      broken.models[0]!.price.rules = [];
      if (n % 5 === 0) await expect(app.app.reload(broken)).rejects.toThrow(/price/);
      await app.app.reload(settings(first, n));
    }
    await Promise.all(calls);
    release();
    const answers = await Promise.all(calls);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const costs = new Set(answers.map((answer) => answer.headers.get('x-request-cost')));
    expect([...costs].map(Number).toSorted((a, b) => a - b)).toEqual([OLD, NEW].map(Number));
    for (const { status, text } of await Promise.all(streams)) {
      expect(status).toBe(200);
      expect(text).toContain('word2');
      expect(text).toMatch(/data: \[DONE\]\s*$/);
    }
    expect((await Promise.all(topUps)).map(({ status }) => status)).toEqual(topUps.map(() => 200));
    // All of the streams were held before the first reload.
    const charges = await app.app.store.ledger.read
      .selectFrom('entries')
      .select('amount')
      .where('kind', '=', 'CHARGE')
      .execute();
    expect(charges).toHaveLength(STREAMS + RELOADS * REQUESTS_EACH);
    const old = charges.filter(({ amount }) => amount === 15_000).length;
    const twice = charges.filter(({ amount }) => amount === 30_000).length;
    expect(old + twice).toBe(charges.length);
    expect(old).toBe(
      STREAMS +
        answers.filter((a) => Number(a.headers.get('x-request-cost')) === Number(OLD)).length,
    );
    await app.check();
  });

  it('says what changed, writes it down, and takes amounts and networks over at once', async () => {
    await using app = await startApp();
    const first = app.app.config;
    const reloaded = await app.app.reload(settings(first, 1), 'SIGHUP');
    expect(reloaded.needsRestart).toEqual([]);
    expect(reloaded.changes).toEqual([
      'Prices changed: demo-chat',
      'Channels added: other',
      `Networks removed: ${PLAY_SOLANA}`,
    ]);
    const asked = await app.post('/v1/chat/completions', chatBody());
    const accepts = asked.json['accepts'] as unknown as { network: string }[];
    expect(accepts.map(({ network }) => network)).toEqual([PLAY_EVM]);
    const logged = await app.app.store.ledger.read
      .selectFrom('audit_log')
      .selectAll()
      .where('action', '=', 'settings.reload')
      .execute();
    expect(logged.map(({ actor, detail }) => [actor, JSON.parse(detail) as unknown])).toEqual([
      ['SIGHUP', reloaded],
    ]);
    const again = await app.app.reload(first);
    expect(again.changes).toContain(`Networks added: ${PLAY_SOLANA}`);
  });

  it('names what only a restart takes over, and takes nothing of another mode or directory', async () => {
    await using app = await startApp();
    const first = app.app.config;
    const server = { ...first.server, port: 4_242 };
    const { needsRestart } = await app.app.reload({ ...first, server, logLevel: 'debug' });
    expect(needsRestart).toEqual(['PORT', 'LOG_LEVEL']);
    await expect(app.app.reload({ ...first, mode: 'live', models: [] })).rejects.toThrow(/SANDBOX/);
    expect(app.app.config.models).toHaveLength(first.models.length);
    expect((await app.get('/ready')).status).toBe(200);
  });
});

describe('a listener of the operator’s own', () => {
  it('answers pages, API and figures there alone, and to nobody’s page but its own', async () => {
    await using app = await startApp({
      change: (config) => {
        config.server.adminListen = { host: '127.0.0.1', port: 0 };
      },
    });
    for (const path of [
      '/admin',
      '/admin/',
      '/admin/login',
      '/admin/api/accounts',
      '/metrics',
      '/metrics/',
    ]) {
      expect((await app.get(path)).status, path).toBe(404);
    }
    const own = `http://127.0.0.1:${app.app.adminPort}`;
    const ask = (path: string, headers = {}) => fetch(own + path, { headers, redirect: 'manual' });
    expect((await ask('/admin/login')).status).toBe(200);
    expect((await ask('/admin/api/accounts')).status).toBe(401);
    expect((await ask('/health')).status).toBe(200);
    for (const path of ['/', '/v1/models', '/reference', '/x402/top-up']) {
      expect((await ask(path)).status, path).toBe(404);
    }
    const figures = await ask('/metrics');
    expect(figures.status).toBe(200);
    expect(figures.headers.get('access-control-allow-origin')).toBeNull();
    expect((await ask('/metrics', { origin: 'https://evil.example' })).status).toBe(401);
    const named = async (host: string, path: string) =>
      (await sendRaw(app.app.adminPort!, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status;
    // A page of a stranger's whose name leads here.
    expect(await named('evil.example:8403', '/metrics')).toBe(401);
    expect(await named('evil.example:8403', '/admin/login')).toBe(403);
    expect(await named('evil.example:8403', '/admin/api/accounts')).toBe(401);
    expect(await named('localhost:8403', '/metrics')).toBe(200);
    expect(await named('localhost:8403', '/admin/login')).toBe(200);
    expect((await ask('/metrics', { 'x-forwarded-for': '8.8.8.8' })).status).toBe(401);
  });

  it('is named by doctor, and where others could reach it that is said', async () => {
    await using app = await startApp();
    const { config } = app.app;
    const ownOf = async (host: string) => {
      const server = { ...config.server, adminListen: { host, port: 8_403 } };
      const found = await checkReach({ ...config, server });
      return found.find(({ subject }) => subject === 'operator');
    };
    expect(await ownOf('127.0.0.1')).toMatchObject({ state: 'good', mend: null });
    expect(await ownOf('0.0.0.0')).toMatchObject({
      state: 'warn',
      message: '/metrics answers without a key to whoever reaches 0.0.0.0:8403',
    });
    expect((await checkReach(config)).map(({ subject }) => subject)).toEqual(['address']);
  });

  it('describes each listener by what answers there, also after a reload', async () => {
    await using app = await startApp({
      change: (config) => {
        config.server.adminListen = { host: '127.0.0.1', port: 0 };
      },
    });
    for (const round of ['before', 'after']) {
      if (round === 'after') await app.app.reload(settings(app.app.config, 1));
      const everybodys = pathsOf((await app.get('/openapi.json')).json);
      expect(everybodys).toContain('/v1/chat/completions');
      expect(everybodys.filter((path) => /^\/(admin|metrics)/.test(path))).toEqual([]);
      const own = await fetch(`http://127.0.0.1:${app.app.adminPort}/openapi.json`);
      const document = (await own.json()) as Json;
      const operators = pathsOf(document);
      expect(operators).toEqual(expect.arrayContaining(['/metrics', '/admin/api/accounts']));
      expect(operators).not.toContain('/v1/chat/completions');
      expect(document['servers']).toEqual([{ url: '/' }]);
    }
    expect((await app.get('/reference')).text).not.toContain('/admin/api');
    await using usual = await startApp();
    expect(pathsOf((await usual.get('/openapi.json')).json)).toContain('/metrics');
  });
});

function pathsOf(document: Json): string[] {
  return Object.keys(document['paths'] ?? {});
}

describe('what is open at once', () => {
  it('stays counted over reloads: streams of a caller have one bound', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1');
    const headers = { authorization: `Bearer ${secret}` };
    const gone = new AbortController();
    const follow = () => fetch(`${app.url}/v1/events`, { headers, signal: gone.signal });
    const open = await Promise.all(Array.from({ length: 10 }, follow));
    await app.app.reload(settings(app.app.config, 1));
    open.push(...(await Promise.all(Array.from({ length: 6 }, follow))));
    expect(open.map(({ status }) => status)).toEqual(open.map(() => 200));
    expect((await follow()).status).toBe(429);
    await app.app.reload(settings(app.app.config, 2));
    expect((await follow()).status).toBe(429);
    gone.abort();
    await expect
      .poll(async () => {
        const again = new AbortController();
        const { status } = await fetch(`${app.url}/v1/events`, { headers, signal: again.signal });
        again.abort();
        return status;
      })
      .toBe(200);
  });
});

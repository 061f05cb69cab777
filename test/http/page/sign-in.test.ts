import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HOUSE_ACCOUNT } from '../../../src/keys/keys.ts';
import { startApp, type TestApp } from '../../support/app.ts';
import { sendRaw } from '../../support/raw-http.ts';
import { manualClock } from '../../support/store.ts';

const HOUR = 3_600_000;

describe('the operator’s site', () => {
  const clock = manualClock();
  let app: TestApp;
  let secret: string;
  beforeAll(async () => {
    app = await startApp({ clock });
    const { keys } = app.app.store;
    const made = { type: 'ADMIN', description: '', accountId: HOUSE_ACCOUNT } as const;
    ({ secret } = await keys.create(made, { actor: 'test' }));
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${app.url}${path}`, { headers, redirect: 'manual' });
  const send = (path: string, fields: Record<string, string>, headers = {}) =>
    fetch(`${app.url}${path}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers: { origin: app.url, 'sec-fetch-site': 'same-origin', ...headers },
      redirect: 'manual',
    });
  const signIn = async (key = secret) => {
    const answer = await send('/admin/login', { key });
    const cookie = answer.headers.get('set-cookie') ?? '';
    return { answer, cookie: cookie.split(';')[0]!, whole: cookie };
  };
  const csrfOf = (text: string) => /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? '';

  it('shows strangers the way to sign in, and nothing else', async () => {
    const answer = await ask('/admin');
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/admin/login']);
    expect((await ask('/admin', { cookie: 'farebox_admin=guess' })).status).toBe(303);
    expect((await ask('/admin/login')).status).toBe(200);
  });

  it('does nothing for strangers on any page or form', async () => {
    const open = /^\/admin\/(login|assets|claim)/;
    const inside = app.app.pages.filter(({ path }) => !open.test(path));
    expect(inside.length).toBeGreaterThan(1);
    for (const { method, path } of inside) {
      const url = path.replace(/:\w+/g, 'x');
      const answer = method === 'get' ? await ask(url) : await send(url, {});
      expect([method, path, answer.status, answer.headers.get('location')]).toEqual([
        method,
        path,
        303,
        '/admin/login',
      ]);
    }
  });

  it('takes an operator key and gives a cookie that no script and no other site can use (A-5)', async () => {
    const { answer, whole, cookie } = await signIn();
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/admin']);
    expect(whole).toMatch(/; Path=\/admin; HttpOnly; SameSite=Strict; Max-Age=43200$/);
    expect(await (await ask('/admin', { cookie })).text()).toContain('Owed to customers');
  });

  it('takes no other key', async () => {
    const customer = await app.key('1', 'ADMIN');
    for (const key of [customer.secret, 'ak_nonsense', '']) {
      const { answer, whole } = await signIn(key);
      expect([answer.status, whole]).toEqual([401, '']);
    }
  });

  it('may not be framed, and runs no script but its own (A-5)', async () => {
    const { cookie } = await signIn();
    const { headers } = await ask('/admin', { cookie });
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(headers.get('x-frame-options')).toBe('DENY');
  });

  it('gives a new token at each sign-in, whatever cookie came along (A-5)', async () => {
    const planted = `farebox_admin=${'A'.repeat(43)}`;
    const answer = await send('/admin/login', { key: secret }, { cookie: planted });
    const given = answer.headers.get('set-cookie') ?? '';
    expect(given).not.toContain('A'.repeat(43));
    expect((await ask('/admin', { cookie: planted })).status).toBe(303);
    expect((await signIn()).cookie).not.toBe((await signIn()).cookie);
  });

  it('refuses forms of other sites (A-4)', async () => {
    const { cookie } = await signIn();
    const csrf = csrfOf(await (await ask('/admin', { cookie })).text());
    const out = (fields: Record<string, string>, headers: Record<string, string>) =>
      send('/admin/logout', fields, { cookie, ...headers });
    expect((await out({}, {})).status).toBe(403);
    expect((await out({ csrf: `${csrf}x` }, {})).status).toBe(403);
    expect((await out({ csrf }, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await out({ csrf }, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await out({ csrf }, { origin: 'null' })).status).toBe(403);
    expect((await ask('/admin', { cookie })).status).toBe(200);
    expect((await out({ csrf }, {})).status).toBe(303);
    expect((await ask('/admin', { cookie })).status).toBe(303);
  });

  it('ends a session with its key, and after twelve hours (A-5)', async () => {
    const { keys } = app.app.store;
    const made = { type: 'ADMIN', description: '', accountId: HOUSE_ACCOUNT } as const;
    const other = await keys.create(made, { actor: 'test' });
    const { cookie } = await signIn(other.secret);
    expect((await ask('/admin', { cookie })).status).toBe(200);
    await keys.revoke(other.id, { accountId: null, under: null });
    expect((await ask('/admin', { cookie })).status).toBe(303);
    const mine = await signIn();
    clock.ms += 12 * HOUR;
    expect((await ask('/admin', { cookie: mine.cookie })).status).toBe(303);
  });

  it('shows no live figures to whoever has signed out (A-5)', async () => {
    const { cookie } = await signIn();
    const live = await ask('/admin/live', { cookie });
    expect(live.headers.get('content-type')).toContain('text/event-stream');
    const csrf = csrfOf(await (await ask('/admin', { cookie })).text());
    await send('/admin/logout', { csrf }, { cookie });
    // It ends by itself: before it did not for ten minutes.
    expect(await live.text()).toContain('event: figures');
  });

  it('answers over https or on this machine alone (A-1, A-4)', async () => {
    // What fetch does not let anybody say.
    const away = (more: string) =>
      sendRaw(app.port, `GET /admin/login HTTP/1.1\r\n${more}Connection: close\r\n\r\n`, {
        untilClosed: true,
      });
    const elsewhere = await away('Host: gw.example.com\r\n');
    expect(elsewhere.status).toBe(403);
    expect(elsewhere.body).toContain(`ssh -L ${app.port}:127.0.0.1:${app.port}`);
    const here = `Host: 127.0.0.1:${app.port}\r\n`;
    expect((await away(`${here}X-Forwarded-Proto: http\r\n`)).status).toBe(403);
    expect((await away(here)).status).toBe(200);
  });
});

describe('the claim link', () => {
  it('makes the first operator key once, and is not used up by looking at it (A-7)', async () => {
    await using app = await startApp({});
    const { sessions } = app.app;
    const first = (await sessions.offerClaim())!;
    const code = (await sessions.offerClaim())!;
    const path = `${app.url}/admin/claim`;
    expect((await fetch(`${path}/${first}`)).status).toBe(401);
    for (let look = 0; look < 3; look++) {
      expect((await fetch(`${path}/${code}`)).status).toBe(200);
    }
    const claims = await Promise.all(
      Array.from({ length: 8 }, () => fetch(`${path}/${code}`, { method: 'POST' })),
    );
    expect(claims.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200,
      ...Array<number>(7).fill(401),
    ]);
    const won = claims.find(({ status }) => status === 200)!;
    const key = /ak_\w+/.exec(await won.text())![0];
    expect(await app.app.store.keys.authenticate(key)).not.toBeNull();
    const cookie = (won.headers.get('set-cookie') ?? '').split(';')[0]!;
    expect((await fetch(`${app.url}/admin`, { headers: { cookie } })).status).toBe(200);
    expect(await sessions.offerClaim()).toBeNull();
  });

  it('ends after a day (A-7)', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const code = (await app.app.sessions.offerClaim())!;
    clock.ms += 24 * HOUR;
    expect((await fetch(`${app.url}/admin/claim/${code}`, { method: 'POST' })).status).toBe(401);
  });
});

describe('guessing keys and claim links', () => {
  it('is stopped like guessing at the API (K-14)', async () => {
    await using app = await startApp({
      change: (config) => {
        config.limits.floods = { unauthorizedPerMinute: 5, paymentRequiredPerMinute: 5 };
      },
    });
    const tried = async (path: string, method: string) => {
      const body = method === 'POST' ? new URLSearchParams({ key: 'ak_guess' }) : null;
      return (await fetch(`${app.url}${path}`, { method, body })).status;
    };
    const statuses: number[] = [];
    for (let round = 0; round < 4; round++) {
      statuses.push(await tried('/admin/login', 'POST'), await tried('/admin/claim/guess', 'GET'));
    }
    expect(statuses.slice(0, 4)).toEqual([401, 401, 401, 401]);
    expect(statuses.slice(-2)).toEqual([429, 429]);
  });
});

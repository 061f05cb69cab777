import { describe, expect, it } from 'vitest';
import { chatBody, startApp } from '../support/app.ts';
import { manualClock } from '../support/store.ts';

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

/** What SQL, LIKE, paths and prototypes would trip over. */
const CORPUS = [
  "' or 1=1 --",
  "'; drop table api_keys; --",
  "x' union select hash from api_keys --",
  '" or ""="',
  '%',
  '_',
  '%%%%%%%%',
  '\\',
  '0x27',
  'null',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '1e308',
  '-1',
  'a'.repeat(5_000),
  '\u0000',
  '\u2028',
  '💸',
];

describe('callers who try', () => {
  it('find no statement to break into, in any parameter of any route (K-9)', async () => {
    await using app = await startApp();
    const { store } = app.app;
    const operator = await store.keys.create({ type: 'ADMIN', description: 'operator' });
    await app.evm('1');
    const count = () =>
      store.ledger.read
        .selectFrom('api_keys')
        .select(({ fn }) => fn.countAll<number>().as('keys'))
        .executeTakeFirstOrThrow();
    const before = await count();
    const broken: string[] = [];
    for (const { method, path, operation } of app.app.routes) {
      if (method !== 'get') continue;
      const names =
        operation?.query && 'shape' in operation.query
          ? Object.keys(operation.query.shape as object)
          : [];
      for (const text of CORPUS) {
        const said = encodeURIComponent(text);
        const asked = [path.replaceAll(/[:*]\w+/g, said)];
        for (const name of names) asked.push(`${path.replaceAll(/[:*]\w+/g, 'x')}?${name}=${said}`);
        for (const url of asked) {
          // Not as a stream of events: that one would never end.
          const headers = { ...bearer(operator.secret), accept: 'application/json' };
          const answer = await fetch(app.url + url, { headers });
          const body = await answer.text();
          if (answer.status >= 500 || /sqlite|syntax error/i.test(body)) {
            broken.push(`${url.slice(0, 100)} -> ${answer.status} ${body.slice(0, 200)}`);
          }
        }
      }
    }
    for (const text of CORPUS) {
      if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) continue;
      const answer = await app.post('/v1/chat/completions', chatBody(), bearer(`ck_${text}`));
      if (answer.status !== 401) broken.push(`key ${text.slice(0, 50)} -> ${answer.status}`);
    }
    expect(broken).toEqual([]);
    expect(await count()).toEqual(before);
    await app.check();
  }, 120_000);

  it('are told the same of a key that never was, was revoked, or has expired (K-10)', async () => {
    const clock = manualClock();
    await using app = await startApp({ clock });
    const { keys } = app.app.store;
    const revoked = await keys.create({ type: 'INFERENCE', description: '' });
    await keys.revoke(revoked.id, { accountId: null, under: null });
    const expired = await keys.create({
      type: 'INFERENCE',
      description: '',
      expiresAtMs: clock.ms + 1,
    });
    clock.ms += 1;
    const { secret } = await keys.create({ type: 'INFERENCE', description: '' });
    const typo = secret.slice(0, -1) + (secret.endsWith('0') ? '1' : '0');
    const answers = new Set<string>();
    for (const key of [revoked.secret, expired.secret, typo, 'ck_x', 'nonsense']) {
      const { status, text } = await app.chat(bearer(key));
      answers.add(`${status} ${text}`);
    }
    expect(answers.size).toBe(1);
    expect([...answers][0]).toContain('401');
  });

  it('get nowhere with a key in the URL, and the log does not keep it (K-11)', async () => {
    await using app = await startApp();
    const { secret } = await app.key();
    for (const name of ['key', 'api_key', 'apiKey', 'access_token', 'authorization', 'x-api-key']) {
      const path = `/v1/chat/completions?${name}=${secret}`;
      expect((await app.post(path, chatBody())).status).toBe(402);
      expect((await app.get(`/api/v1/keys?${name}=${secret}`)).status).toBe(401);
    }
    expect(JSON.stringify(app.logged)).not.toContain(secret);
  });
});

import { describe, expect, it } from 'vitest';
import { HOUSE_ACCOUNT } from '../../../src/keys/keys.ts';
import { startApp, textOf } from '../../support/app.ts';
import { because, operator, send } from '../../support/operator.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe('/admin/api/keys', () => {
  it('makes, lists, changes and revokes keys of anybody, each with a line in the log', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const { accountId } = await app.key('5');
    const made = await boss.post('/keys', {
      accountId,
      label: 'theirs',
      limit: { usd: 1, period: 'MONTH' },
      models: ['demo-*'],
      ...because,
    });
    expect(made.status).toBe(201);
    const [id, secret] = [textOf(made.json['id']), textOf(made.json['key'])];
    expect((await app.chat(bearer(secret))).status).toBe(200);
    const listed = await boss.get(`/keys?accountId=${accountId}`);
    expect(listed.text).not.toContain(secret);
    expect(listed.json).toMatchObject({ data: [{ id, label: 'theirs' }, {}], nextCursor: null });
    const changed = await boss.patch(`/keys/${id}`, { models: ['other'], ...because });
    expect(changed.json).toMatchObject({ models: ['other'], limit: { usd: 1 } });
    expect((await app.chat(bearer(secret))).status).toBe(403);
    expect((await boss.send('DELETE', `/keys/${id}`)).status).toBe(400);
    expect((await boss.send('DELETE', `/keys/${id}?reason=lost%20it`)).status).toBe(204);
    expect((await app.chat(bearer(secret))).status).toBe(401);
    expect((await boss.get(`/keys/${id}`)).json).toMatchObject({ status: 'revoked' });
    const log = await boss.audit(`?target=${id}`);
    expect(log.map(({ action, reason, actor }) => [action, reason, actor])).toEqual([
      ['key.revoke', 'lost it', boss.keyId],
      ['key.update', 'for a test', boss.keyId],
      ['key.create', 'for a test', boss.keyId],
    ]);
    await app.check();
  });

  it('makes operators, whose keys work at once', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const made = await boss.post('/keys', { type: 'ADMIN', label: 'second', ...because });
    expect(made.json).toMatchObject({ accountId: HOUSE_ACCOUNT, type: 'ADMIN' });
    const answer = await app.get('/admin/api/accounts', bearer(textOf(made.json['key'])));
    expect(answer.status).toBe(200);
    const ofAccount = await boss.post('/keys', {
      type: 'ADMIN',
      accountId: (await app.key()).accountId,
      ...because,
    });
    const theirs = await app.get('/admin/api/accounts', bearer(textOf(ofAccount.json['key'])));
    expect(theirs.status).toBe(403);
  });

  it('lets no bound operator make or raise more than itself', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    const brief = await operator(app, { limits: { usd: 2, diem: null, vcu: null } });
    const second = await brief.post('/keys', { type: 'ADMIN', ...because });
    expect(second.json).toMatchObject({ parentId: brief.keyId });
    const wide = { type: 'ADMIN', limit: { usd: 3 }, ...because };
    expect((await brief.post('/keys', wide)).status).toBe(400);
    const narrow = await brief.post('/keys', { limit: { usd: 1 }, ...because });
    expect(narrow.json).toMatchObject({ parentId: brief.keyId });
    const itself = await brief.patch(`/keys/${brief.keyId}`, { limit: null, ...because });
    expect(itself.status).toBe(404);
    expect((await brief.send('DELETE', `/keys/${boss.keyId}?reason=mutiny`)).status).toBe(404);
    expect((await boss.get('/keys')).status).toBe(200);
    const below = await brief.patch(`/keys/${textOf(narrow.json['id'])}`, {
      label: 'x',
      ...because,
    });
    expect(below.status).toBe(200);
  });

  it('refuses what is no field of a key (A-2)', async () => {
    await using app = await startApp();
    const boss = await operator(app);
    for (const fields of [
      { is_admin: true },
      { hash: 'x' },
      { state: 'active' },
      { parentId: 'key_1' },
      { account_id: 'acc_house' },
      { type: 'OPERATOR' },
    ]) {
      const { status } = await boss.post('/keys', { ...because, ...fields });
      expect([fields, status]).toEqual([fields, 400]);
    }
    expect((await boss.post('/keys', { ...because, accountId: 'acc_none' })).status).toBe(404);
    expect(await boss.list('/keys')).toHaveLength(1);
  });

  it('is closed to every other key and wallet, whatever the route (A-2)', async () => {
    await using app = await startApp();
    await operator(app);
    const [admin, inference] = [await app.key('1', 'ADMIN'), await app.key('1')];
    const house = await app.app.store.keys.create({ type: 'INFERENCE', description: '' });
    const wallet = await app.evm('1');
    const routes = app.app.routes.filter(({ path }) => path.startsWith('/admin/api'));
    expect(routes.length).toBeGreaterThan(20);
    expect(new Set(routes.map(({ right }) => right))).toEqual(new Set(['admin']));
    for (const { method, path } of routes) {
      const at = path.replaceAll(/:\w+/g, admin.accountId);
      for (const headers of [
        bearer(admin.secret),
        bearer(inference.secret),
        bearer(house.secret),
        { 'sign-in-with-x': await wallet.signIn() },
      ]) {
        const body = method === 'get' ? undefined : { ...because, state: 'frozen', isOn: false };
        const { status } = await send(app, method.toUpperCase(), at, headers, body);
        expect([method, path, status]).toEqual([method, path, 403]);
      }
      const nobody = await send(app, method.toUpperCase(), at, {});
      expect([method, path, nobody.status]).toEqual([method, path, 401]);
    }
  });
});

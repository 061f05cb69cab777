import { describe, expect, it } from 'vitest';
import { type Json, listOf, startApp, textOf } from '../../support/app.ts';
import { bearer, newKey, ownerOf, PATH, startByok, stored } from '../../support/byok.ts';

const VENDORS = ['openai', 'anthropic', 'google', 'x-ai', 'openrouter', 'minimax'];

describe('/api/v1/provider-keys', () => {
  it('stores a key of each vendor, one at a time, and shows its last characters only', async () => {
    await using app = await startByok();
    const owner = await app.owner();
    for (const vendor of [...VENDORS, 'acme']) await stored(owner, vendor, newKey());
    const key = newKey();
    const body = { provider: 'XAI', apiKey: key, label: 'mine' };
    const replaced = await app.post(PATH, body, bearer(owner.secret));
    expect(replaced.status).toBe(201);
    expect(replaced.json).toEqual({
      id: expect.stringMatching(/^pk_/) as string,
      provider: 'x-ai',
      label: 'mine',
      last4: key.slice(-4),
      masked: `…${key.slice(-4)}`,
      status: 'active',
      inUse: false,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      replaces: expect.stringMatching(/^pk_/) as string,
    });
    const listed = await app.get(PATH, bearer(owner.secret));
    const keys = listOf(listed.json['data']);
    expect(keys.map(({ provider }) => textOf(provider)).toSorted()).toEqual(
      [...VENDORS, 'acme'].toSorted(),
    );
    expect(keys.find(({ provider }) => textOf(provider) === 'acme')?.['inUse']).toBe(true);
    expect(listed.text).not.toContain('sk-own');
  });

  it('keeps at most 50 an owner', async () => {
    const channels = Array.from({ length: 51 }, (_, n) => ({ vendor: `v${n}` }));
    await using app = await startByok({
      channels: [{}],
      change: (config) => {
        config.channels = channels.map((more, n) => ({
          ...config.channels[0]!,
          id: `c${n}`,
          ...more,
        }));
      },
    });
    const owner = await app.owner();
    for (let n = 0; n < 50; n += 1) await stored(owner, `v${n}`, newKey());
    expect(await owner.store('v50', newKey())).toMatchObject({ status: 400 });
    await stored(owner, 'v7', newKey());
  });

  it('names the field that is wrong, and never repeats the key', async () => {
    await using app = await startApp();
    const { secret } = await app.key('1', 'ADMIN');
    const key = newKey();
    const wrong: [object, RegExp][] = [
      [{ provider: 'openai' }, /^key: is needed/],
      [{ provider: 'openai', key, apiKey: key }, /^key: is needed, once/],
      [{ provider: 'openai', key: `${key}\r\nx: y` }, /^key: must be the key/],
      [{ provider: 'openai', key: 'short' }, /^key: must be the key/],
      [{ provider: 'nobody', key }, /^provider: must be one of openai, .*demo/],
      [{ key }, /^provider: must be text/],
      [{ provider: 'openai', key, more: 1 }, /more/],
    ];
    for (const [body, message] of wrong) {
      const answer = await app.post(PATH, body, bearer(secret));
      expect([body, answer.status]).toEqual([body, 400]);
      expect(textOf(answer.json['error'])).toMatch(message);
      expect(answer.text).not.toContain(key);
    }
  });

  it('is an owner’s: nobody else sees, uses or removes his keys', async () => {
    await using app = await startByok();
    const [a, b] = [await app.owner(), await app.owner()];
    const id = await stored(a, 'acme', newKey());
    expect((await app.get(PATH, bearer(b.secret))).json['data']).toEqual([]);
    expect((await b.remove(id)).status).toBe(404);
    expect((await b.chat()).headers.get('x-byok')).toBeNull();
    expect((await a.remove(id)).status).toBe(204);
    expect((await a.remove(id)).status).toBe(404);
  });

  it('is for the whole account: a key with limits of its own does not decide it', async () => {
    await using app = await startByok();
    const owner = await app.owner();
    const id = await stored(owner, 'acme', newKey());
    const { keys } = app.app.store;
    const { accountId } = owner;
    const make = (fields: object) =>
      keys.create({ accountId, type: 'ADMIN', description: '', ...fields });
    const limits = { usd: 1, diem: null, vcu: null };
    for (const { secret } of [await make({ limits }), await make({ type: 'INFERENCE' })]) {
      const narrow = ownerOf(app, secret, accountId);
      expect((await narrow.store('acme', newKey())).status).toBe(403);
      expect((await narrow.remove(id)).status).toBe(403);
      // It spends for the account all the same, and so goes over its key.
      expect((await narrow.chat()).headers.get('x-byok')).toBe('used');
    }
  });

  it('leaves each change in the log, without the key', async () => {
    await using app = await startByok();
    const owner = await app.owner();
    const [first, second] = [newKey(), newKey()];
    const firstId = await stored(owner, 'acme', first);
    const secondId = await stored(owner, 'acme', second);
    await owner.remove(secondId);
    const rows = await app.app.store.ledger.read
      .selectFrom('audit_log')
      .selectAll()
      .where('action', 'like', 'provider_key.%')
      .orderBy('seq')
      .execute();
    const detail = rows.map((row) => JSON.parse(row.detail) as Json);
    expect(rows.map(({ action, target }) => [action, target])).toEqual([
      ['provider_key.store', firstId],
      ['provider_key.store', secondId],
      ['provider_key.remove', secondId],
    ]);
    expect(detail[1]).toMatchObject({ vendor: 'acme', replaces: firstId });
    for (const { actor } of rows) expect(actor).toMatch(/^key_/);
    for (const key of [first, second]) expect(JSON.stringify(rows)).not.toContain(key);
  });
});

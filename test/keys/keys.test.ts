import { describe, expect, it } from 'vitest';
import { ALL_KEYS, HOUSE_ACCOUNT } from '../../src/keys/keys.ts';
import { testStore } from '../support/store.ts';

describe('keys', () => {
  it('makes keys of 160 random bits that are told by their prefix and shown once', async () => {
    await using store = await testStore();
    const inference = await store.keys.create({ type: 'INFERENCE', description: 'a' });
    const admin = await store.keys.create({ type: 'ADMIN', description: 'b' });
    expect(inference.secret).toMatch(/^ck_[0-9a-f]{48}$/);
    expect(admin.secret).toMatch(/^ak_[0-9a-f]{48}$/);
    expect(await store.keys.authenticate(inference.secret)).toEqual({
      keyId: inference.id,
      ancestors: [],
      rules: [],
      rates: [],
      isBound: false,
      accountId: HOUSE_ACCOUNT,
      type: 'INFERENCE',
    });
    const listed = await store.keys.list(ALL_KEYS, { limit: 10, offset: 0 });
    expect(listed.map(({ description }) => description).toSorted()).toEqual(['a', 'b']);
    const shown = JSON.stringify(listed);
    expect(shown).not.toContain(inference.secret.slice(3, 20));
    expect(listed[0]).not.toHaveProperty('hash');
  });

  it('refuses typos, other people’s keys and noise (K-14)', async () => {
    await using store = await testStore();
    const { secret } = await store.keys.create({ type: 'INFERENCE', description: '' });
    const typo = secret.slice(0, -1) + (secret.endsWith('0') ? '1' : '0');
    const noise = ['', 'ck_', 'ck_x', typo, secret.toUpperCase(), ` ${secret}`, 'x'.repeat(10_000)];
    for (const wrong of [...noise, `ak_${secret.slice(3)}`]) {
      expect(await store.keys.authenticate(wrong)).toBeNull();
    }
  });

  it('ends a key when it is revoked, for a caller who just used it too', async () => {
    await using store = await testStore();
    const { id, secret } = await store.keys.create({ type: 'INFERENCE', description: '' });
    expect(await store.keys.authenticate(secret)).not.toBeNull();
    const [, during] = await Promise.all([
      store.keys.revoke(id, ALL_KEYS),
      store.keys.authenticate(secret),
    ]);
    expect(during === null || during.keyId === id).toBe(true);
    expect(await store.keys.authenticate(secret)).toBeNull();
    await expect(store.keys.revoke('key_none', ALL_KEYS)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('ends a key at its time', async () => {
    await using store = await testStore();
    const expiresAtMs = store.clock.ms + 1_000;
    const { secret } = await store.keys.create({ type: 'INFERENCE', description: '', expiresAtMs });
    expect(await store.keys.authenticate(secret)).not.toBeNull();
    store.clock.ms += 1_000;
    expect(await store.keys.authenticate(secret)).toBeNull();
  });

  it('takes a key that the operator made, once however often it starts', async () => {
    await using store = await testStore();
    const secret = `ak_${'0123456789abcdef'.repeat(4)}`;
    const first = await store.keys.add(secret, { type: 'ADMIN', description: 'mine' });
    const again = await store.keys.add(secret, { type: 'ADMIN', description: 'mine' });
    expect(again.id).toBe(first.id);
    expect(await store.keys.authenticate(secret)).toMatchObject({ type: 'ADMIN' });
    expect(await store.keys.authenticate(`${secret.slice(0, -1)}0`)).toBeNull();
  });

  it('refuses an account that does not exist and a description that is too long', async () => {
    await using store = await testStore();
    await expect(
      store.keys.create({ type: 'INFERENCE', description: '', accountId: 'acc_none' }),
    ).rejects.toMatchObject({ code: 'not_found' });
    await expect(
      store.keys.create({ type: 'INFERENCE', description: 'x'.repeat(65) }),
    ).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await store.keys.list(ALL_KEYS, { limit: 10, offset: 0 })).toEqual([]);
  });
});

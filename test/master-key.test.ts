import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../src/db/open.ts';
import { resetMasterKey } from '../src/ledger/reset-master.ts';
import { type RotationStep, WRAPPED } from '../src/master-key.ts';
import { Vault } from '../src/vault.ts';
import { type TestStore, testStore } from './support/store.ts';

const KILLED = fileURLToPath(new URL('support/rotate-killed.ts', import.meta.url));
const SECRET = 'sk-canary-0123456789abcdef';

interface Seeded {
  account: string;
  /** Of an API key. */
  secret: string;
}

/** An API key and a provider key, which only the right secrets make sense of. */
async function seed(store: TestStore): Promise<Seeded> {
  const account = await store.wallet('1');
  const { secret } = await store.keys.create({
    accountId: account,
    type: 'INFERENCE',
    description: '',
  });
  const wanted = { vendor: 'openai', key: SECRET, label: '' };
  await new Vault(store.ledger, store.masterKey.values).store({ accountId: account }, wanted, 't');
  return { account, secret };
}

async function expectWhole(store: TestStore, { account, secret }: Seeded): Promise<void> {
  expect(await store.keys.authenticate(secret)).toMatchObject({ accountId: account });
  const keys = await new Vault(store.ledger, store.masterKey.values).keysOf(account);
  expect(keys.get('openai')?.secret()).toBe(SECRET);
  expect(await store.available(account)).toBe(1_000_000_000);
  await store.check();
}

function killAt(step: RotationStep, dataDir: string, keys: string[]): Promise<string | null> {
  const child = spawn(process.execPath, [KILLED, dataDir, step, ...keys], { stdio: 'inherit' });
  return new Promise((resolve) => child.once('close', (_code, signal) => resolve(signal)));
}

const fresh = () => randomBytes(32);
const actor = { actor: 'test' };

async function wrapped(dataDir: string): Promise<Record<string, string>> {
  const { db, close } = openDatabase(join(dataDir, 'farebox.db'), 'read');
  const rows = await db.selectFrom('meta').selectAll().where('key', 'in', WRAPPED).execute();
  await close();
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}

describe('rotating a master key', () => {
  it('wraps everything anew, breaks nothing, and leaves nothing that the old key opens', async () => {
    await using store = await testStore();
    const seeded = await seed(store);
    const file = join(store.dataDir, 'master.key');
    const old = await readFile(file, 'utf8');
    const before = await wrapped(store.dataDir);
    expect(Object.keys(before).toSorted()).toEqual([...WRAPPED].toSorted());
    const rotated = await store.masterKey.rotate(store.ledger, null, actor);
    expect(rotated).toEqual({ isNew: true, keptIn: 'master.key' });
    await expectWhole(store, seeded);
    const after = await wrapped(store.dataDir);
    for (const name of WRAPPED) expect(after[name]).not.toBe(before[name]);
    expect(await readFile(file, 'utf8')).not.toBe(old);
    expect((await stat(file)).mode & 0o077).toBe(0);
    expect((await readdir(store.dataDir)).filter((name) => /new|lost/.test(name))).toEqual([]);
    await expect(store.reopen({ masterKey: Buffer.from(old, 'base64') })).rejects.toThrow(
      /does not open[\s\S]*unset FAREBOX_MASTER_KEY/,
    );
    await using again = await store.reopen();
    await expectWhole(again, seeded);
    const log = await again.ledger.read.selectFrom('audit_log').select('action').execute();
    expect(log.map(({ action }) => action)).toContain('master_key.rotate');
  });

  it('takes the key out of the data directory when a new one is given, and needs one where it is not there', async () => {
    await using store = await testStore();
    const seeded = await seed(store);
    const first = fresh();
    expect(await store.masterKey.rotate(store.ledger, first, actor)).toMatchObject({
      keptIn: 'FAREBOX_MASTER_KEY',
    });
    expect(await readdir(store.dataDir)).not.toContain('master.key');
    await expect(store.reopen()).rejects.toThrow(/set FAREBOX_MASTER_KEY/);
    expect(await readdir(store.dataDir)).not.toContain('master.key');
    await using second = await store.reopen({ masterKey: first });
    await expectWhole(second, seeded);
    const nothing = second.masterKey.rotate(second.ledger, null, actor);
    await expect(nothing).rejects.toThrow(/FAREBOX_NEW_MASTER_KEY/);
    const next = fresh();
    await second.masterKey.rotate(second.ledger, next, actor);
    expect(await second.masterKey.rotate(second.ledger, next, actor)).toMatchObject({
      isNew: false,
    });
    await using third = await second.reopen({ masterKey: first, newMasterKey: next });
    await expectWhole(third, seeded);
    await using last = await third.reopen({ masterKey: next, newMasterKey: null });
    await expectWhole(last, seeded);
  });

  const inFile: RotationStep[] = ['new file', 'inside', 'committed', 'done'];
  it.each(inFile)('killed at "%s" with the key in the directory, goes on (O-4)', async (step) => {
    await using store = await testStore();
    const seeded = await seed(store);
    await store.close();
    expect(await killAt(step, store.dataDir, [])).toBe('SIGKILL');
    await using again = await store.reopen();
    await expectWhole(again, seeded);
    await again.masterKey.rotate(again.ledger, null, actor);
    await using last = await again.reopen();
    await expectWhole(last, seeded);
    expect((await readdir(store.dataDir)).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  const given: RotationStep[] = ['inside', 'committed', 'done'];
  it.each(given)('killed at "%s" with keys from outside, goes on (O-4)', async (step) => {
    const [old, next] = [fresh(), fresh()];
    await using store = await testStore({ masterKey: old });
    const seeded = await seed(store);
    await store.close();
    const keys = [old.toString('base64'), next.toString('base64')];
    expect(await killAt(step, store.dataDir, keys)).toBe('SIGKILL');
    await using again = await store.reopen({ masterKey: old, newMasterKey: next });
    await expectWhole(again, seeded);
    await again.masterKey.rotate(again.ledger, next, actor);
    await using last = await again.reopen({ masterKey: next, newMasterKey: null });
    await expectWhole(last, seeded);
    await expect(last.reopen({ masterKey: old })).rejects.toThrow(/does not open/);
  });

  it('does not write over a new key that is in use before its file has its name', async () => {
    await using store = await testStore();
    const seeded = await seed(store);
    const at = (step: RotationStep) => {
      if (step === 'committed') throw new Error('the disk does not rename');
    };
    await expect(store.masterKey.rotate(store.ledger, null, { ...actor, at })).rejects.toThrow(
      /rename/,
    );
    await store.close();
    await using second = await store.reopen();
    await expectWhole(second, seeded);
    await expect(second.masterKey.rotate(second.ledger, null, { ...actor, at })).rejects.toThrow(
      /rename/,
    );
    const stuck = (step: RotationStep) => {
      if (step === 'new file') throw new Error('the disk is full');
    };
    await expect(
      second.masterKey.rotate(second.ledger, null, { ...actor, at: stuck }),
    ).rejects.toThrow(/full/);
    await using last = await second.reopen();
    await expectWhole(last, seeded);
  });
});

describe('a lost master key', () => {
  it('stops the start with what is lost and how to go on, and the money is whole after that (O-4)', async () => {
    await using store = await testStore();
    const seeded = await seed(store);
    await store.close();
    const { dataDir } = store;
    const options = { dataDir, configured: null, next: null, pid: 1, nowMs: store.clock.ms };
    await expect(resetMasterKey(options)).rejects.toThrow(/nothing is lost/);
    await writeFile(join(dataDir, 'master.key'), `${fresh().toString('base64')}\n`);
    await expect(store.reopen()).rejects.toThrow(
      /balances[\s\S]*whole[\s\S]*no API key[\s\S]*reset-master/,
    );
    const reset = await resetMasterKey(options);
    expect(reset).toEqual({
      keptIn: 'master.key',
      apiKeysRevoked: 1,
      providerKeysLost: 1,
      paymentsUnderWay: [],
    });
    await using again = await store.reopen();
    expect(await again.keys.authenticate(seeded.secret)).toBeNull();
    const keys = await new Vault(again.ledger, again.masterKey.values).keysOf(seeded.account);
    expect(keys.get('openai')?.secret()).toBeNull();
    expect(await again.available(seeded.account)).toBe(1_000_000_000);
    await again.check();
    const key = await again.keys.create({ type: 'ADMIN', description: '' });
    expect(await again.keys.authenticate(key.secret)).toMatchObject({ keyId: key.id });
    expect((await readdir(dataDir)).filter((name) => name.includes('.lost-'))).toHaveLength(1);
  });

  it('is no reason to make a new one unasked', async () => {
    await using store = await testStore();
    await seed(store);
    await store.close();
    await rm(join(store.dataDir, 'master.key'));
    await expect(store.reopen()).rejects.toThrow(/does not open/);
    expect(await readdir(store.dataDir)).not.toContain('master.key');
  });
});

import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, extract } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeBackup } from '../../src/backup/backup.ts';
import { restoreBackup, type RestoreOptions } from '../../src/backup/restore.ts';
import { parseUsd } from '../../src/money.ts';
import { verifyStore } from '../../src/verify.ts';
import { testStore, type TestStore } from '../support/store.ts';

const PASSPHRASE = 'correct horse battery staple';

describe('a backup', () => {
  let store: TestStore;
  let dir: string;
  beforeEach(async () => {
    store = await testStore();
    dir = await mkdtemp(join(tmpdir(), 'farebox-backups-'));
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  const target = () => join(dir, 'backup.tgz');
  const back = (passphrase: string | null = null) =>
    makeBackup({
      dataDir: store.dataDir,
      target: target(),
      passphrase,
      nowMs: store.clock.nowMs(),
    });
  const restore = (dataDir: string, more: Partial<RestoreOptions> = {}) =>
    restoreBackup({
      file: target(),
      dataDir,
      passphrase: null,
      acceptRollback: false,
      masterKey: null,
      networks: [],
      pid: 0,
      nowMs: store.clock.nowMs(),
      ...more,
    });
  const reserve = (accountId: string) =>
    store.ledger.reserve({
      accountId,
      keyId: null,
      ancestors: [],
      amount: parseUsd('0.01'),
      atLeast: parseUsd('0.01'),
      minimumAvailable: parseUsd('0'),
      purpose: 'chat',
      model: 'm',
      requestId: 'req',
      priceVersion: 'v',
      ttlMs: 60_000,
    });

  it('taken while money moves is consistent, and restores to a ledger without faults (S-24)', async () => {
    const wallet = await store.wallet('100');
    let isOver = false;
    const traffic = (async () => {
      while (!isOver) {
        const holds = await Promise.all(Array.from({ length: 20 }, () => reserve(wallet)));
        await Promise.all(holds.map((hold) => store.ledger.capture(hold, parseUsd('0.001'), null)));
      }
    })();
    const seqs: number[] = [];
    for (let round = 0; round < 5; round++) {
      const { head } = await back();
      seqs.push(head.seq);
      const dataDir = join(dir, `restored-${round}`);
      const { manifest } = await restore(dataDir);
      expect(manifest.head).toEqual(head);
      const { ok, faults } = await verifyStore({ dataDir, nowMs: store.clock.nowMs() });
      expect({ ok, faults }).toEqual({ ok: true, faults: [] });
    }
    isOver = true;
    await traffic;
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect(seqs.at(-1)).toBeGreaterThan(seqs[0]!);
  });

  it('without a passphrase holds no master key; with one it does, and nothing in it can be read', async () => {
    await store.wallet('1');
    const open = await back();
    expect(open.files).not.toContain('master.key');
    const { hasMasterKey } = await restore(join(dir, 'open'));
    expect(hasMasterKey).toBe(false);
    const sealed = await back(PASSPHRASE);
    expect(sealed.files).toContain('master.key');
    const bytes = await readFile(target());
    expect(bytes.subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    const key = (await readFile(join(store.dataDir, 'master.key'), 'utf8')).trim();
    expect(bytes.includes(key)).toBe(false);
  });

  it('that is encrypted brings API keys back to life in an empty directory', async () => {
    const { secret } = await store.keys.create(
      { type: 'INFERENCE', description: 'one', accountId: await store.wallet('1') },
      { actor: 'test' },
    );
    await back(PASSPHRASE);
    await expect(restore(join(dir, 'new'), { passphrase: 'another passphrase' })).rejects.toThrow(
      'The passphrase does not open',
    );
    await expect(restore(join(dir, 'new'))).rejects.toThrow('FAREBOX_BACKUP_PASSPHRASE');
    const restored = await restore(join(dir, 'new'), { passphrase: PASSPHRASE });
    expect(restored.hasMasterKey).toBe(true);
    const again = await testStore({ dataDir: join(dir, 'new') });
    try {
      expect(await again.keys.authenticate(secret)).not.toBeNull();
      await again.check();
    } finally {
      await again.close();
    }
  });

  it('that goes on where the ledger ends is welcome', async () => {
    const wallet = await store.wallet('5');
    await back(PASSPHRASE);
    const dataDir = join(dir, 'behind');
    await restore(dataDir, { passphrase: PASSPHRASE });
    await store.wallet('7');
    const { head } = await back(PASSPHRASE);
    const restored = await restore(dataDir, { passphrase: PASSPHRASE });
    expect(restored.manifest.head).toEqual(head);
    const again = await testStore({ dataDir });
    try {
      expect(await again.available(wallet)).toBe(parseUsd('5'));
      await again.check();
    } finally {
      await again.close();
    }
  });

  it('that is older than the ledger is refused unless the loss is accepted (S-25)', async () => {
    const wallet = await store.wallet('5');
    const { head } = await back();
    await store.wallet('7');
    await store.close();
    const refusal = restore(store.dataDir);
    await expect(refusal).rejects.toThrow(`ends at seal ${head.seq}`);
    await expect(refusal).rejects.toThrow('--accept-rollback');
    const { setAside } = await restore(store.dataDir, { acceptRollback: true });
    expect(await readdir(setAside ?? '')).toEqual(
      expect.arrayContaining(['farebox.db', 'ledger.head']),
    );
    const again = await testStore({ dataDir: store.dataDir });
    try {
      expect(await again.available(wallet)).toBe(parseUsd('5'));
      await again.check();
    } finally {
      await again.close();
    }
  });

  it('is not restored under a running server, nor over another history', async () => {
    await store.wallet('5');
    await back();
    await expect(restore(store.dataDir)).rejects.toThrow('in use');
    const other = await testStore();
    await other.wallet('5');
    await other.close();
    await expect(restore(other.dataDir)).rejects.toThrow('of another history');
    await rm(other.dataDir, { recursive: true, force: true });
  });

  it('that is torn, changed or something else leaves the directory as it was', async () => {
    await store.wallet('5');
    const { bytes } = await back();
    const whole = await readFile(target());
    const dataDir = join(dir, 'kept');
    for (const cut of [0, 1, 100, Math.floor(bytes / 2), bytes - 1]) {
      await writeFile(target(), whole);
      await truncate(target(), cut);
      await expect(restore(dataDir), `cut at ${cut}`).rejects.toThrow();
    }
    await writeFile(target(), 'something else');
    await expect(restore(dataDir)).rejects.toThrow('not a whole backup');
    expect((await readdir(dataDir)).filter((name) => !/lock|pid/.test(name))).toEqual([]);
  });

  it('whose manifest or head file lies or is missing is judged by its database (S-25)', async () => {
    await store.wallet('1');
    await back();
    const unpacked = await mkdtemp(join(dir, 'unpacked-'));
    await extract({ file: target(), cwd: unpacked });
    await store.wallet('2');
    await store.close();
    const known = await readFile(join(store.dataDir, 'ledger.head'), 'utf8');
    const text = await readFile(join(unpacked, 'manifest.json'), 'utf8');
    const lie = { ...(JSON.parse(text) as object), head: JSON.parse(known) as unknown };
    await writeFile(join(unpacked, 'manifest.json'), JSON.stringify(lie));
    await writeFile(join(unpacked, 'ledger.head'), known);
    const packed = (names: string[]) =>
      create({ file: target(), cwd: unpacked, gzip: true }, names);
    await packed(['manifest.json', 'farebox.db', 'ledger.head']);
    await expect(restore(store.dataDir)).rejects.toThrow('Restoring it gives up everything');
    await packed(['manifest.json', 'farebox.db']);
    const { manifest } = await restore(store.dataDir, { acceptRollback: true });
    const head: unknown = JSON.parse(await readFile(join(store.dataDir, 'ledger.head'), 'utf8'));
    expect(head).toEqual(manifest.head);
    expect(head).not.toEqual(JSON.parse(known));
    await writeFile(join(unpacked, 'manifest.json'), JSON.stringify({ ...lie, madeAt: 'once' }));
    await packed(['manifest.json', 'farebox.db']);
    await expect(restore(store.dataDir)).rejects.toThrow('is not a backup of Farebox');
  });

  it('does not take the place of what is no file', async () => {
    await expect(
      makeBackup({ dataDir: store.dataDir, target: dir, passphrase: null, nowMs: 0 }),
    ).rejects.toThrow('is no file');
  });

  it('that fails leaves the last good one in place', async () => {
    await store.wallet('5');
    await back();
    const good = await readFile(target());
    await expect(
      makeBackup({
        dataDir: join(dir, 'nothing-here'),
        target: target(),
        passphrase: null,
        nowMs: 0,
      }),
    ).rejects.toThrow();
    expect(await readFile(target())).toEqual(good);
    expect((await readdir(dir)).filter((name) => /part|farebox-backup/.test(name))).toEqual([]);
  });
});

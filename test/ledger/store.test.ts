import { readdir, readFile, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/open.ts';
import { nanoUsd } from '../../src/money.ts';
import { verifyStore } from '../../src/verify.ts';
import { reserveRequest, testStore } from '../support/store.ts';

async function edit(dataDir: string, text: string): Promise<void> {
  const { db, close } = openDatabase(join(dataDir, 'farebox.db'), 'write');
  const { CompiledQuery } = await import('kysely');
  await db.executeQuery(CompiledQuery.raw(text));
  await close();
}

describe('store', () => {
  it('lets one process have a data directory (S-14)', async () => {
    await using store = await testStore({ pid: 4711 });
    await expect(testStore({ dataDir: store.dataDir })).rejects.toThrow(/in use by another.*4711/);
  });

  it('refuses to open a database of the other mode', async () => {
    await using store = await testStore({ mode: 'sandbox' });
    await expect(store.reopen({ mode: 'live' })).rejects.toThrow(/made in sandbox mode/);
  });

  it('refuses another master key and keeps keys working under the same', async () => {
    await using store = await testStore();
    const key = await store.keys.create({ type: 'INFERENCE', description: 'mine' });
    await expect(store.reopen({ masterKey: Buffer.alloc(32, 7) })).rejects.toThrow(/master key/);
    await using again = await store.reopen();
    expect(await again.keys.authenticate(key.secret)).toMatchObject({ keyId: key.id });
    expect((await stat(join(store.dataDir, 'master.key'))).mode & 0o077).toBe(0);
    const file = await readFile(join(store.dataDir, 'farebox.db'));
    expect(file.includes(key.secret.slice(3, 43))).toBe(false);
  });

  it('leaves no file open where it cannot open a directory', async () => {
    await using store = await testStore({ mode: 'sandbox' });
    await store.close();
    const opened = async () => {
      const names = await readdir('/proc/self/fd');
      const targets = names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => ''));
      return (await Promise.all(targets)).filter((path) => path.startsWith(store.dataDir));
    };
    await expect(store.reopen({ mode: 'live' })).rejects.toThrow(/made in sandbox mode/);
    await expect(store.reopen({ masterKey: Buffer.alloc(32, 7) })).rejects.toThrow(/master key/);
    expect(await opened()).toEqual([]);
    await using again = await store.reopen();
    expect(await opened()).not.toEqual([]);
    await again.check();
  });

  it('voids what the last process left open', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    for (let index = 0; index < 30; index += 1) {
      await store.ledger.reserve(reserveRequest(account, 100));
    }
    await using again = await store.reopen();
    expect(await again.available(account)).toBe(1_000_000_000);
    await again.check();
  });

  it('notices a database that was rolled back behind the head file (S-9)', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    await store.sweep();
    const old = await readFile(join(store.dataDir, 'farebox.db'));
    const wal = await readFile(join(store.dataDir, 'farebox.db-wal'));
    for (let index = 0; index < 5; index += 1) {
      const hold = await store.ledger.reserve(reserveRequest(account, 100));
      await store.ledger.capture(hold, nanoUsd(10), null);
    }
    await store.close();
    await writeFile(join(store.dataDir, 'farebox.db'), old);
    await writeFile(join(store.dataDir, 'farebox.db-wal'), wal);
    await rm(join(store.dataDir, 'farebox.db-shm'), { force: true });
    const { faults } = await verifyStore({ dataDir: store.dataDir, nowMs: store.clock.ms });
    expect(faults).toContainEqual({
      invariant: 7,
      row: 'head file',
      message: 'knows seal 6, the database ends at 1: it was rolled back',
    });
    await expect(testStore({ dataDir: store.dataDir })).rejects.toThrow(/rolled back/);
  });

  it.each([
    'update entries set amount = amount + 1 where seq = 2',
    'delete from entries where seq = 2',
    'delete from entries where seq = (select max(seq) from entries)',
    "insert into entries select seq + 1, at, 'GRANT', 'x', 'sys:grants', credit_account, 5, 5, null, null from entries where kind = 'GRANT' and seq = 1",
    'update accounts set posted = posted + 5',
  ])('does not start on a ledger that somebody edited: %s', async (statement) => {
    await using store = await testStore();
    const account = await store.wallet('1');
    for (let index = 0; index < 5; index += 1) {
      const hold = await store.ledger.reserve(reserveRequest(account, 100));
      await store.ledger.capture(hold, nanoUsd(10), null);
    }
    await store.close();
    await edit(store.dataDir, statement.replace('seq + 1', '1000'));
    await expect(testStore({ dataDir: store.dataDir })).rejects.toThrow(/The ledger was changed/);
  });

  it('loses nothing that was acknowledged when the WAL is cut off, or says so', async () => {
    await using store = await testStore();
    const account = await store.wallet('1');
    for (let index = 0; index < 20; index += 1) {
      const hold = await store.ledger.reserve(reserveRequest(account, 100));
      await store.ledger.capture(hold, nanoUsd(10), null);
    }
    await store.sweep();
    const wal = join(store.dataDir, 'farebox.db-wal');
    const copy = await readFile(wal);
    const main = await readFile(join(store.dataDir, 'farebox.db'));
    await store.close();
    await writeFile(join(store.dataDir, 'farebox.db'), main);
    await writeFile(wal, copy);
    await truncate(wal, Math.floor(copy.length / 2));
    await rm(join(store.dataDir, 'farebox.db-shm'), { force: true });
    await expect(testStore({ dataDir: store.dataDir })).rejects.toThrow(/rolled back/);
  });

  it.each([
    ['update entries set amount = amount + 1 where seq = 2', 'entries 1 to 9', 7],
    ['delete from entries where seq = 3', 'does not match its entries', 7],
    ["update accounts set posted = posted + 5 where kind = 'wallet'", 'its entries make', 1],
    ["update accounts set held = held + 5 where kind = 'wallet'", 'its open holds make', 1],
    ["update holds set captured = captured + 1 where state = 'captured'", 'its entries charge', 2],
    ['update key_windows set captured = captured + 1', 'its holds make', 4],
    ["delete from holds where state = 'captured'", 'which does not exist', 2],
    ["update seals set previous = 'x' where seq = 3", 'does not chain', 7],
    ['delete from seals where seq = 2', 'a seal is missing', 7],
    [
      "insert into payments (id, network, asset, identity, payer, pay_to, units, state, payment, dialect, created_at) values ('pay_1', 'n', 'a', 'i', 'p', 't', '5', 'settled', '{}', 'v2', 1)",
      'its deposit is 0 nano',
      3,
    ],
    [
      "insert into payments (id, network, asset, identity, payer, pay_to, units, state, payment, dialect, created_at) values ('pay_1', 'n', 'a', 'i', 'p', 't', '5', 'submitted', '{}', 'v2', 1)",
      'nobody asks about it',
      6,
    ],
  ])('names the row when somebody runs: %s', async (statement, message, invariant) => {
    await using store = await testStore();
    const account = await store.wallet('1');
    const key = await store.keys.create({ type: 'INFERENCE', description: '', accountId: account });
    for (let index = 0; index < 8; index += 1) {
      const hold = await store.ledger.reserve(reserveRequest(account, 100, { keyId: key.id }));
      await store.ledger.capture(hold, nanoUsd(10), null);
    }
    await store.check();
    await store.close();
    await edit(store.dataDir, statement);
    const { ok, faults } = await verifyStore({ dataDir: store.dataDir, nowMs: store.clock.ms });
    expect(ok).toBe(false);
    const named = faults.filter((fault) => fault.invariant === invariant);
    expect(named.length).toBeGreaterThan(0);
    expect(JSON.stringify(named)).toContain(
      message === 'entries 1 to 9' ? 'does not match' : message,
    );
  });
});

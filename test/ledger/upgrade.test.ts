import { cp, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from 'kysely';
import { migrate, openDatabase, schemaOf } from '../../src/db/open.ts';
import { silentLog } from '../../src/log.ts';
import { openStore } from '../../src/ledger/store.ts';
import { Vault } from '../../src/vault.ts';
import { verifyStore } from '../../src/verify.ts';
import { chatBody, startApp } from '../support/app.ts';
import { manualClock } from '../support/store.ts';

const RELEASED = ['0007'];
const FIXTURES = new URL('../fixtures/schemas/', import.meta.url).pathname;
const MINUTE = 60_000;
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

interface Notes {
  madeAtMs: number;
  operatorKey: string;
  ownerKey: string;
  ownerAccount: string;
  childKey: string;
  revokedKey: string;
  idempotencyKey: string;
  answer: string;
  posted: Record<string, number>;
  entries: number;
  openHold: string;
  providerKey: string;
}

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'farebox-upgrade-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const database = () => join(dataDir, 'farebox.db');
const copies = async () =>
  (await readdir(dataDir)).filter((name) => name.startsWith('before-')).toSorted();

async function unpack(schema: string): Promise<Notes> {
  const folder = join(FIXTURES, schema);
  await cp(folder, dataDir, { recursive: true });
  await writeFile(database(), gunzipSync(await readFile(join(folder, 'farebox.db.gz'))));
  return JSON.parse(await readFile(join(folder, 'notes.json'), 'utf8')) as Notes;
}

async function openAndClose(nowMs: number): Promise<void> {
  const store = await openStore({
    dataDir,
    mode: 'sandbox',
    clock: manualClock(nowMs),
    log: silentLog,
    onFatal: (error) => expect(error).toBeUndefined(),
  });
  await store.close();
}

/** Runs one statement on a database that nobody has open. */
async function change(file: string, statement: string): Promise<void> {
  const opened = openDatabase(file, 'write');
  await sql.raw(statement).execute(opened.db);
  await opened.close();
}

async function schemaIn(file: string): Promise<string> {
  const opened = openDatabase(file, 'read');
  try {
    return await schemaOf(opened);
  } finally {
    await opened.close();
  }
}

describe.each(RELEASED)('a data directory of schema %s', (schema) => {
  it('goes on being used: every invariant holds, money stays, keys and kept answers work', async () => {
    const notes = await unpack(schema);
    const clock = manualClock(notes.madeAtMs + MINUTE);
    await using app = await startApp({ dataDir, clock });
    const { accounts, ledger } = app.app.store;
    for (const [account, posted] of Object.entries(notes.posted)) {
      expect([account, (await accounts.balance(account)).posted]).toEqual([account, posted]);
    }
    const hold = await ledger.read
      .selectFrom('holds')
      .select('state')
      .where('id', '=', notes.openHold)
      .executeTakeFirst();
    expect(hold).toEqual({ state: 'voided' });
    const { faults } = await verifyStore({ dataDir, nowMs: clock.nowMs() });
    expect(faults).toEqual([]);

    for (const key of [notes.ownerKey, notes.childKey]) {
      expect((await app.chat(bearer(key))).status).toBe(200);
    }
    expect((await app.chat(bearer(notes.revokedKey))).status).toBe(401);
    const replay = { ...bearer(notes.childKey), 'idempotency-key': notes.idempotencyKey };
    const again = await app.post('/v1/chat/completions', chatBody(), replay);
    expect([again.status, again.text]).toEqual([200, notes.answer]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const operator = bearer(notes.operatorKey);
    const payouts = await app.get('/admin/api/payouts', operator);
    expect(payouts.json).toMatchObject({ data: [{}, {}] });
    const payments = await app.get('/admin/api/payments', operator);
    expect(payments.json).toMatchObject({ data: [{ status: 'settled' }] });
    const vault = new Vault(ledger, app.app.store.masterKey.values);
    const own = await vault.keysOf(notes.ownerAccount);
    expect(own.get('acme')?.secret()).toBe(notes.providerKey);
    const after = await verifyStore({ dataDir, nowMs: clock.nowMs() });
    expect([after.faults, after.entries]).toEqual([[], notes.entries + 2]);
    await app.stop();
  });

  it('is copied before it is upgraded, once, as it was', async () => {
    const { madeAtMs, entries } = await unpack(schema);
    await openAndClose(madeAtMs);
    const [copy, ...others] = await copies();
    expect(others).toEqual([]);
    expect(copy).toMatch(/^before-0008-tasks\.db$/);
    expect((await stat(join(dataDir, copy!))).mode & 0o777).toBe(0o600);
    expect(await schemaIn(join(dataDir, copy!))).toMatch(new RegExp(`^${schema}-`));
    expect((await schemaIn(database())) > schema).toBe(true);
    const { mtimeMs } = await stat(join(dataDir, copy!));
    await openAndClose(madeAtMs);
    expect((await stat(join(dataDir, copy!))).mtimeMs).toBe(mtimeMs);

    // The way back: the copy in the database's place.
    await rm(database());
    await cp(join(dataDir, copy!), database());
    await openAndClose(madeAtMs);
    const back = await verifyStore({ dataDir, nowMs: madeAtMs });
    expect([back.faults, back.entries]).toEqual([[], entries]);
  });
});

describe('an upgrade', () => {
  it('keeps the newest three copies, and nothing else is removed', async () => {
    const { madeAtMs } = await unpack('0007');
    for (const [at, name] of ['0003-c', '0004-d', '0005-e', '0002-b'].entries()) {
      const file = join(dataDir, `before-${name}.db`);
      await writeFile(file, '');
      await utimes(file, 1_000 + at, 1_000 + at);
    }
    await writeFile(join(dataDir, 'before-the-fair.db'), '');
    await openAndClose(madeAtMs);
    const kept = ['before-0002-b.db', 'before-0005-e.db', 'before-0008-tasks.db'];
    expect(await copies()).toEqual([...kept, 'before-the-fair.db']);
  });

  it('makes no copy of a directory that is new or up to date', async () => {
    await openAndClose(0);
    await openAndClose(0);
    expect(await copies()).toEqual([]);
  });

  it('does not begin where the copy cannot be made', async () => {
    const { madeAtMs } = await unpack('0007');
    // What stands in the way cannot be replaced by a file.
    await cp(FIXTURES, join(dataDir, 'before-0008-tasks.db'), { recursive: true });
    await expect(openAndClose(madeAtMs)).rejects.toThrow(/must be upgraded.*before-0008-tasks\.db/);
    expect(await schemaIn(database())).toBe('0007-quotes');
    expect((await copies()).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('that fails in the middle leaves the database as it was', async () => {
    await unpack('0007');
    // The third of the migrations that are missing makes this table itself.
    await change(database(), 'create table webhook_deliveries (id text)');
    const opened = openDatabase(database(), 'write');
    await expect(migrate(opened)).rejects.toThrow(/webhook_deliveries/);
    const tables = await opened.db.introspection.getTables();
    expect(tables.map(({ name }) => name)).not.toContain('tasks');
    expect(await schemaOf(opened)).toBe('0007-quotes');
    await opened.close();
  });

  it('is refused by a version that does not know the schema, which is told', async () => {
    await openAndClose(0);
    await change(database(), "insert into kysely_migration values ('9999-later', '2030-01-01')");
    await expect(openAndClose(0)).rejects.toThrow(
      /changed by a newer Farebox \(schema 9999-later; this one knows schemas up to [0-9]{4}-\w+\)/,
    );
    expect(await copies()).toEqual([]);
  });
});

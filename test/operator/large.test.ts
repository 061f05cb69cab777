/** Lists in a shop that is larger than what a page may look through. */
import { CompiledQuery, Kysely, sql } from 'kysely';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyPrincipal } from '../../src/auth/principal.ts';
import { sqliteDialect } from '../../src/db/sqlite.ts';
import type { Tables } from '../../src/db/tables.ts';
import { HOUSE_ACCOUNT } from '../../src/keys/keys.ts';
import { OperatorLists, SEARCHED_ACCOUNTS } from '../../src/operator/lists.ts';
import { OperatorTasks } from '../../src/operator/tasks.ts';
import { OperatorUsage } from '../../src/operator/usage.ts';
import { listPayouts } from '../../src/payouts/rows.ts';
import { listDeliveries } from '../../src/webhooks/rows.ts';
import { testStore, type TestStore } from '../support/store.ts';

const by = {
  kind: 'key',
  role: 'operator',
  keyId: 'key_x',
  accountId: HOUSE_ACCOUNT,
} as KeyPrincipal;
const limit = 5;
/** The dearest first, of all in a span of days. */
const RANKING = 'usage by key';
const OLD = 'acc_000000000001';
const NEW = 'acc_0000000f0000';

describe('lists of a large shop', () => {
  let store: TestStore;
  let lists: OperatorLists;
  beforeAll(async () => {
    store = await testStore();
    lists = new OperatorLists(store.reports);
    await store.ledger.write(({ db }) => fill(db));
  });
  afterAll(() => store[Symbol.asyncDispose]());

  const search = async (text: string) =>
    (await lists.accounts(by, { limit, search: text })).map(({ id }) => id);

  it('find old accounts by how an address, an id or a label begins', async () => {
    expect(await search('0xABCDEF')).toEqual([OLD]);
    expect(await search(OLD)).toEqual([OLD]);
    expect(await search('Archive')).toEqual([OLD]);
    expect(await search('chive')).toEqual([]);
  });

  it('find new accounts by any part', async () => {
    await store.ledger.write(({ db }) =>
      db.updateTable('accounts').set({ label: '100%_Team' }).where('id', '=', NEW).execute(),
    );
    expect(await search('0%_te')).toEqual([NEW]);
    expect(await search('0%xte')).toEqual([]);
  });

  it('go through the holds of an account among those of everybody, each once', async () => {
    const seen: string[] = [];
    let before: string | undefined;
    for (let pages = 0; pages < 20; pages += 1) {
      const { rows, next } = await lists.holds(by, OLD, { limit: 2, before });
      expect(rows.length).toBeLessThanOrEqual(2);
      seen.push(...rows.map(({ id }) => id));
      if (next === null) break;
      before = next;
    }
    expect(seen).toEqual([60_000, 40_000, 20_000].map(holdId));
    const open = await lists.holds(by, OLD, { limit: 2, state: 'open' });
    expect(open).toEqual({ rows: [], next: null });
  });

  it('find every page and filter by an index', async () => {
    for (const [name, lines] of await plans(store)) {
      const bad = lines.filter(
        (line) =>
          /^SCAN (?!addresses|ids|labels|s\b|parts\b|\(subquery|CONSTANT)\S+(?! USING)/.test(
            line,
          ) ||
          (name !== RANKING && line.includes('TEMP B-TREE FOR ORDER BY')),
      );
      expect([name, bad]).toEqual([name, []]);
    }
  });
});

function holdId(n: number): string {
  return `hold_${String(n).padStart(8, '0')}`;
}

/** Accounts and holds beyond what is looked through; three holds of the oldest account. */
async function fill(db: Kysely<Tables>): Promise<void> {
  const counter = (most: number) =>
    sql.raw(`with recursive c (n) as (select 1 union all select n + 1 from c where n < ${most})`);
  const wanted = SEARCHED_ACCOUNTS + 5;
  await sql`${counter(wanted)} insert into accounts (id, kind, label, created_at)
    select printf('acc_%012x', n), 'wallet', '', 0 from c`.execute(db);
  await sql`insert into accounts (id, kind, label, created_at) values (${NEW}, 'house', '', 0)`.execute(
    db,
  );
  await sql`update accounts set label = 'Archive' where id = ${OLD}`.execute(db);
  await sql`insert into wallets (family, chain, address, account_id, created_at)
    values ('eip155', '', ${`0xabcdef${'0'.repeat(34)}`}, ${OLD}, 0)`.execute(db);
  await sql`${counter(65_000)} insert into holds (id, account_id, amount, state, day, month, instance, purpose, created_at,
      expires_at, resolved_at)
    select printf('hold_%08d', n), case when n % 20000 = 0 then ${OLD} else ${NEW} end, 1, 'voided', '', '', 'i', 'chat', 0, 0, 0
    from c`.execute(db);
}

/** How each list is found, by its name. */
async function plans(store: TestStore): Promise<Map<string, string[]>> {
  const file = join(store.dataDir, 'farebox.db');
  const queries: CompiledQuery[] = [];
  const db = new Kysely<Tables>({
    dialect: sqliteDialect(file, 'report'),
    log: ({ query }) => void queries.push(query),
  });
  const lists = new OperatorLists(db);
  const tasks = new OperatorTasks(db);
  const page = { limit, before: '5' };
  const accountId = OLD;
  const asked: Record<string, () => Promise<unknown>> = {
    accounts: () => lists.accounts(by, page),
    'accounts of a kind': () => lists.accounts(by, { ...page, kind: 'house' }),
    'accounts that are frozen': () => lists.accounts(by, { ...page, state: 'frozen' }),
    entries: () => lists.entries(by, OLD, page),
    adjustments: () => lists.adjustments(by, OLD, page),
    keys: () => lists.keys(by, page),
    'keys of an account': () => lists.keys(by, { ...page, accountId }),
    'revoked keys': () => lists.keys(by, { ...page, state: 'revoked' }),
    payments: () => lists.payments(by, page),
    'payments in a state': () => lists.payments(by, { ...page, state: 'failed' }),
    'payments of a payer': () => lists.payments(by, { ...page, state: 'settled', payer: 'x' }),
    'payments of an account': () => lists.payments(by, { ...page, state: 'settled', accountId }),
    'payments of a network': () => lists.payments(by, { ...page, network: 'x' }),
    changes: () => lists.changes(by, page),
    'changes of one': () => lists.changes(by, { ...page, target: 'x' }),
    'changes by one': () => lists.changes(by, { ...page, actor: 'x' }),
    'changes like one': () => lists.changes(by, { ...page, action: 'x' }),
    tasks: () => tasks.list(by, page),
    'tasks in a state': () => tasks.list(by, { ...page, state: 'failed' }),
    'tasks of an account': () => tasks.list(by, { ...page, state: 'completed', accountId }),
    events: () => tasks.events(by, 'x'),
    deliveries: () => listDeliveries(db, page),
    'deliveries in a state': () => listDeliveries(db, { ...page, state: 'failed' }),
    'deliveries of an account': () =>
      listDeliveries(db, { ...page, state: 'delivered', accountId }),
    payouts: () => listPayouts(db, page),
    'payouts in a state': () => listPayouts(db, { ...page, state: 'failed' }),
    'payouts of an account': () => listPayouts(db, { ...page, accountId }),
    [RANKING]: () => new OperatorUsage(db).byKey({ fromDay: 1, toDay: 2 }),
  };
  const found = new Map<string, string[]>();
  for (const [name, ask] of Object.entries(asked)) {
    queries.length = 0;
    await ask();
    const lines: string[] = [];
    for (const query of queries.splice(0)) {
      const plan = CompiledQuery.raw(`explain query plan ${query.sql}`, [...query.parameters]);
      const { rows } = await db.executeQuery<{ detail: string }>(plan);
      lines.push(...rows.map(({ detail }) => detail));
    }
    found.set(name, lines);
  }
  await db.destroy();
  return found;
}

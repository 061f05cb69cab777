import { type Kysely, sql } from 'kysely';
import type { Ddl } from '../ddl.ts';

/** Lists stay quick in a large shop: each filter has an index in the order of its list. See scripts/bench/pages.ts. */
export async function up(db: Kysely<unknown>, _ddl: Ddl): Promise<void> {
  const statements = [
    "create index accounts_house on accounts (id) where kind = 'house'",
    "create index accounts_label on accounts (label) where label <> ''",
    'create index wallets_address on wallets (address)',
    'drop index api_keys_account',
    'create index api_keys_of_account on api_keys (account_id, id)',
    'create index api_keys_made on api_keys (account_id, created_at desc, id)',
    "create index api_keys_active on api_keys (account_id, created_at desc, id) where state = 'active'",
    'create index api_keys_state on api_keys (state, id)',
    // There are few, among a million that came in.
    "create index entries_refunds on entries (credit_account, seq) where kind = 'REFUND'",
    'drop index payments_account',
    'create index payments_of_account on payments (account_id, id) where account_id is not null',
    'create index payments_network on payments (network, id)',
    // With all that is summed up by key: a row of the table itself is far from the one before it.
    'create index usage_days_day on usage_days (day, key_id, requests, cost, refunded)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

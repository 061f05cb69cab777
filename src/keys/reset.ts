/** Recovery from a lost operator key. */
import { sql } from 'kysely';
import type { WriteTx } from '../ledger/ledger.ts';
import { HOUSE_ACCOUNT } from './house.ts';

/** Revokes every operator key and every key that comes from one; answers how many that were. */
export async function revokeOperators({ db }: WriteTx): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    with recursive lineage (id) as (
      select id from api_keys
        where account_id = ${HOUSE_ACCOUNT} and type = 'ADMIN' and state = 'active'
      union
      select k.id from api_keys k join lineage l on k.parent_id = l.id
    )
    update api_keys set state = 'revoked' where state = 'active' and id in (select id from lineage)
    returning id`.execute(db);
  return rows.length;
}

/** The entries that an account was charged or refunded by, in the order in which they were made. */
import { type Kysely, sql } from 'kysely';
import { jsonCountOrNull } from '../db/json.ts';
import type { Tables } from '../db/tables.ts';

export interface HistoryRow {
  seq: number;
  at: number;
  kind: 'CHARGE' | 'REFUND';
  amount: number;
  model: string | null;
  request_id: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  /** From hold to charge; null for a refund. */
  took_ms: number | null;
}

export interface HistoryPage {
  accountId: string;
  /** Entries after this one. */
  after: number;
  /** Entries before this instant; null without an end. */
  beforeMs: number | null;
  limit: number;
}

export class History {
  readonly #read: Kysely<Tables>;

  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** Oldest first. An entry that was written never moves, so whoever walks by `seq` meets each once. */
  async page({ accountId, after, beforeMs, limit }: HistoryPage): Promise<HistoryRow[]> {
    const end = beforeMs === null ? null : await this.firstAt(beforeMs);
    const within = sql`e.seq > ${after} and e.seq < ${end ?? Number.MAX_SAFE_INTEGER}`;
    const { rows } = await sql<HistoryRow>`
      select * from (
        select e.seq, e.at, e.kind, e.amount, e.model, e.request_id,
          ${sql.raw(jsonCountOrNull('h.usage', 'input_tokens'))} as input_tokens,
          ${sql.raw(jsonCountOrNull('h.usage', 'output_tokens'))} as output_tokens,
          h.resolved_at - h.created_at as took_ms
        from entries e left join holds h on h.id = e.ref
        where e.debit_account = ${accountId} and e.kind = 'CHARGE' and ${within} order by e.seq limit ${limit}
      ) as charges
      union all
      select * from (
        select e.seq, e.at, e.kind, e.amount, e.model, e.request_id, null, null, null from entries e
        where e.credit_account = ${accountId} and e.kind = 'REFUND' and ${within} order by e.seq limit ${limit}
      ) as refunds
      order by seq limit ${limit}`.execute(this.#read);
    return rows;
  }

  /**
   * The first entry at or after an instant; null where there is none. Entries are never earlier than those before them, so halving
   * finds it by their key alone.
   */
  async firstAt(ms: number): Promise<number | null> {
    const last = await this.#entry('desc', 0);
    if (!last || last.at < ms) return null;
    let low = 1;
    let high = last.seq;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = (await this.#entry('asc', middle)) ?? last;
      if (entry.at < ms) low = entry.seq + 1;
      else high = middle;
    }
    return low;
  }

  #entry(order: 'asc' | 'desc', from: number) {
    return this.#read
      .selectFrom('entries')
      .select(['seq', 'at'])
      .where('seq', '>=', from)
      .orderBy('seq', order)
      .limit(1)
      .executeTakeFirst();
  }
}

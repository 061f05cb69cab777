/** What accounts and their keys used, by model, key and day: the sums that were rolled up and what came since, in one statement. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { type Span, usedBy } from './sources.ts';

export type { Span } from './sources.ts';

export interface UsageScope {
  accountId: string;
  /** One key and those that come from it; null for all of the account. */
  under: string | null;
}

export interface ModelUsage {
  /** Null for all models beyond the most that are listed. */
  model: string | null;
  requests: number;
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  /** Requests whose counts were estimated. */
  estimated: number;
  /** Charged less refunded, in nano-USD; a turnover may be beyond what one account can hold. */
  cost: bigint;
}

export interface Part {
  cost: bigint;
  /** Input and output tokens. */
  tokens: number;
}

export interface NamedPart extends Part {
  /** A model or the id of a key ('' for the wallet's own requests); null for all beyond the most that are listed. */
  name: string | null;
}

export interface DayPart extends NamedPart {
  day: number;
}

/** Dearest first where it is by name, oldest first where it is by day. */
export interface Breakdown {
  days: (Part & { day: number })[];
  models: NamedPart[];
  keys: NamedPart[];
  /** Of the dearest few alone. */
  modelDays: DayPart[];
  keyDays: DayPart[];
}

/** Names that are listed; the rest is one sum. */
const MAX_NAMES = 1_000;
/** Names that are told by day. */
export const TOP_NAMES = 8;
const CHUNK = 200;

export class Usage {
  readonly #read: Kysely<Tables>;

  /** `read`: a connection on which a long statement keeps nobody waiting. */
  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** Dearest first. */
  async byModel({ accountId, under }: UsageScope, span: Span): Promise<ModelUsage[]> {
    const { rows } = await sql<ModelRow>`
      with ${under === null ? sql`` : lineage(under)} used as (${usedBy(accountId, span)}), sums as (
        select model, sum(requests) as requests, sum(input_tokens) as input_tokens,
          sum(output_tokens) as output_tokens, sum(cached_input_tokens) as cached_input_tokens,
          sum(estimated) as estimated, sum(cost - refunded) as cost
        from used ${under === null ? sql`` : sql`where key_id in (select id from lineage)`} group by model
      ), ranked as (
        select sums.*, row_number() over (order by cost desc, requests desc, model) as place from sums
      )
      select ${named('model')}, sum(requests) as requests, sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens, sum(cached_input_tokens) as cached_input_tokens,
        sum(estimated) as estimated, cast(sum(cost) as text) as cost
      from ranked group by 1 order by min(place)`.execute(this.#read);
    return rows.map((row) => ({
      model: row.name,
      requests: row.requests,
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      cachedInputTokens: row.cached_input_tokens,
      estimated: row.estimated,
      cost: BigInt(row.cost),
    }));
  }

  /** What keys are called, of those that are there. */
  async descriptions(keyIds: readonly string[]): Promise<Map<string, string>> {
    const names = new Map<string, string>();
    for (let at = 0; at < keyIds.length; at += CHUNK) {
      const rows = await this.#read
        .selectFrom('api_keys')
        .select(['id', 'description'])
        .where('id', 'in', keyIds.slice(at, at + CHUNK))
        .execute();
      for (const { id, description } of rows) names.set(id, description);
    }
    return names;
  }

  /** All of an account. */
  async breakdown(accountId: string, span: Span): Promise<Breakdown> {
    const { rows } = await sql<PartRow>`
      with used as materialized (
        select day, key_id, model, cost - refunded as cost, input_tokens + output_tokens as tokens
        from (${usedBy(accountId, span)}) as parts
      ), models as (${ranked('model')}), keys as (${ranked('key_id')})
      select 'days' as part, day, null as name, 0 as place, cast(sum(cost) as text) as cost, sum(tokens) as tokens
        from used group by day
      union all ${list('models', 'model')}
      union all ${list('keys', 'key_id')}
      union all ${topDays('modelDays', 'models', 'model')}
      union all ${topDays('keyDays', 'keys', 'key_id')}
      order by day, place`.execute(this.#read);
    const parts: Breakdown = { days: [], models: [], keys: [], modelDays: [], keyDays: [] };
    for (const { part, day, name, cost, tokens } of rows) {
      parts[part].push({ day, name, cost: BigInt(cost), tokens });
    }
    return parts;
  }
}

interface ModelRow {
  name: string | null;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens: number;
  estimated: number;
  cost: string;
}

interface PartRow {
  part: keyof Breakdown;
  day: number;
  name: string | null;
  cost: string;
  tokens: number;
}

/** `union`: ends even on a circle of keys. */
function lineage(keyId: string): RawBuilder<unknown> {
  return sql`recursive lineage (id) as (
      select ${keyId} union
      select k.id from lineage l join api_keys k on k.parent_id = l.id where k.parent_id is not null
    ),`;
}

function named(column: string): RawBuilder<unknown> {
  return sql.raw(`case when place <= ${MAX_NAMES} then ${column} end as name`);
}

function ranked(column: string): RawBuilder<unknown> {
  return sql.raw(`select ${column}, sum(cost) as cost, sum(tokens) as tokens,
    row_number() over (order by sum(cost) desc, sum(tokens) desc, ${column}) as place
    from used group by ${column}`);
}

function list(table: 'models' | 'keys', column: string): RawBuilder<unknown> {
  return sql`select * from (
      select ${sql.lit(table)} as part, 0 as day, ${named(column)}, min(place) as place,
        cast(sum(cost) as text) as cost, sum(tokens) as tokens
      from ${sql.raw(table)} group by 3) as listed`;
}

function topDays(part: string, table: string, column: string): RawBuilder<unknown> {
  return sql`select ${sql.lit(part)}, u.day, u.${sql.raw(column)}, r.place, cast(sum(u.cost) as text), sum(u.tokens)
      from ${sql.raw(table)} r join used u on u.${sql.raw(column)} = r.${sql.raw(column)}
      where r.place <= ${sql.lit(TOP_NAMES)} group by u.day, u.${sql.raw(column)}, r.place`;
}

/** What keys have spent, from the counters that the ledger keeps of each. */
import type { Kysely } from 'kysely';
import { utcDay, utcMonth } from '../clock.ts';
import type { Tables } from '../db/tables.ts';
import { nanoUsd, type NanoUsd, ZERO_USD } from '../money.ts';
import type { KeyInfo } from './keys.ts';

export interface Spent {
  /** Charged in the last seven UTC days, today included. */
  week: NanoUsd;
  /** Charged and held in the current period of its limit. */
  period: NanoUsd;
  /** Charged today, this month and ever, UTC. */
  day: NanoUsd;
  month: NanoUsd;
  life: NanoUsd;
}

const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;
const CHUNK = 200;

export class KeySpending {
  readonly #read: Kysely<Tables>;

  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** By key id; every key asked for is there. A key's spending holds that of the keys that come from it. */
  async of(keys: readonly KeyInfo[], nowMs: number): Promise<Map<string, Spent>> {
    const all = new Map<string, Spent>();
    for (let at = 0; at < keys.length; at += CHUNK) {
      await this.#add(keys.slice(at, at + CHUNK), nowMs, all);
    }
    return all;
  }

  /** The least that the limits of these keys leave now; null without a limit. */
  async room(keyIds: readonly string[], nowMs: number): Promise<NanoUsd | null> {
    if (!keyIds.length) return null;
    const keys = await this.#read
      .selectFrom('api_keys')
      .selectAll()
      .where('id', 'in', [...keyIds])
      .where('limit_nano', 'is not', null)
      .execute();
    const spent = await this.of(keys, nowMs);
    const left = keys.map((key) => (key.limit_nano ?? 0) - spent.get(key.id)!.period);
    return left.length ? nanoUsd(Math.max(0, Math.min(...left))) : null;
  }

  async #add(keys: readonly KeyInfo[], nowMs: number, all: Map<string, Spent>): Promise<void> {
    const today = utcDay(nowMs);
    const starts = { EPOCH: today, MONTH: utcMonth(nowMs), LIFETIME: '' };
    for (const { id } of keys) all.set(id, nothing());
    const periods = new Map(keys.map((key) => [key.id, key.limit_period]));
    const rows = await this.#read
      .selectFrom('key_windows')
      .selectAll()
      .where('key_id', 'in', [...periods.keys()])
      .where((eb) =>
        eb.or([
          eb('period', '=', 'LIFETIME'),
          eb.and([eb('period', '=', 'MONTH'), eb('start', '=', starts.MONTH)]),
          eb.and([
            eb('period', '=', 'EPOCH'),
            eb('start', '>=', utcDay(nowMs - (WEEK_DAYS - 1) * DAY_MS)),
          ]),
        ]),
      )
      .execute();
    for (const { key_id: id, period, start, captured, held } of rows) {
      const spent = all.get(id)!;
      if (period === 'EPOCH') spent.week = nanoUsd(spent.week + captured);
      if (start !== starts[period]) continue;
      if (period === 'EPOCH') spent.day = nanoUsd(captured);
      else if (period === 'MONTH') spent.month = nanoUsd(captured);
      else spent.life = nanoUsd(captured);
      if (period === periods.get(id)) spent.period = nanoUsd(captured + held);
    }
  }
}

function nothing(): Spent {
  return { week: ZERO_USD, period: ZERO_USD, day: ZERO_USD, month: ZERO_USD, life: ZERO_USD };
}

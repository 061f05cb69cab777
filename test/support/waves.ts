/** Many calls at once: an upstream that answers nobody before every call of a wave has either reached it or been refused. */
import { expect } from 'vitest';
import type { LimitPeriod } from '../../src/db/tables.ts';
import type { Answer, AppOptions, TestApp } from './app.ts';
import { goodStream, whole } from './upstream.ts';

/** What the most that a call of waves can cost is made of: a hundred tokens of a tenth of a cent, and free input. */
const MOST_TOKENS = 100;
const NANO_PER_TOKEN = 1_000_000;
export const CEILING = MOST_TOKENS * NANO_PER_TOKEN;
const NO_LIMIT = { usd: null, diem: null, vcu: null };

export const wavePrices: Pick<AppOptions, 'change'> = {
  change: ({ models }) => {
    models[0]!.price.rules = [
      { unit: 'input_token', per: 1, usd: '0' },
      { unit: 'output_token', per: 1, usd: '0.001' },
    ];
  },
};

export interface WaveKey {
  id: string;
  secret: string;
}

/** Keys of one wallet. */
export async function walletWithKeys(
  shop: TestApp,
  usd: string,
  keys: { usd: number | null; period: LimitPeriod; parent?: number }[],
): Promise<{ accountId: string; keys: WaveKey[] }> {
  const { accountId } = await shop.key(usd);
  const made: WaveKey[] = [];
  for (const { usd: limit, period, parent } of keys) {
    made.push(
      await shop.app.store.keys.create({
        accountId,
        type: 'INFERENCE',
        description: '',
        limits: { ...NO_LIMIT, usd: limit },
        limitPeriod: period,
        parentId: parent === undefined ? null : made[parent]!.id,
      }),
    );
  }
  return { accountId, keys: made };
}

export interface Wave {
  /** How many calls of each key reached the upstream, in the order of the keys. */
  served: number[];
  refused: Answer[];
  /** Lets the upstream answer with that many tokens; all answers, key by key. */
  release(tokens: number): Promise<Answer[][]>;
}

/** Half of the calls are streams. Returns when each was refused or is held back by the upstream. */
export async function startWave(shop: TestApp, keys: WaveKey[], callsEach: number): Promise<Wave> {
  const refused: Answer[] = [];
  const usage = Promise.withResolvers<object>();
  const allThere = Promise.withResolvers<void>();
  let reached = 0;
  const count = () => {
    if (reached + refused.length === keys.length * callsEach) allThere.resolve();
  };
  shop.upstream.usually(async (response, request) => {
    reached += 1;
    count();
    const used = await usage.promise;
    const answer = request.json['stream'] === true ? goodStream(used) : whole({ usage: used });
    await answer(response, request);
  });
  const refusedOf = keys.map(() => 0);
  const call = async (key: WaveKey, of: number, stream: boolean) => {
    const headers = { authorization: `Bearer ${key.secret}`, 'x-budget-mode': 'refuse' };
    const answer = await shop.chat(headers, { max_tokens: MOST_TOKENS, stream });
    if (answer.status !== 200) {
      refused.push(answer);
      refusedOf[of]! += 1;
      count();
    }
    return answer;
  };
  // Turn and turn about, so that none of the keys is first with all of its calls.
  const calls: Promise<Answer>[][] = keys.map(() => []);
  for (let turn = 0; turn < callsEach; turn += 1) {
    for (const [of, key] of keys.entries()) calls[of]!.push(call(key, of, turn % 2 === 0));
  }
  await allThere.promise;
  return {
    served: refusedOf.map((number) => callsEach - number),
    refused,
    release: async (tokens) => {
      usage.resolve({ prompt_tokens: 1, completion_tokens: tokens, total_tokens: tokens + 1 });
      return Promise.all(calls.map((ofKey) => Promise.all(ofKey)));
    },
  };
}

/** What a key's windows count, as "captured+held" in calls of `tokens` tokens and in ceilings. */
export async function windowsOf(shop: TestApp, keyId: string): Promise<Record<string, string>> {
  const rows = await shop.app.store.ledger.read
    .selectFrom('key_windows')
    .selectAll()
    .where('key_id', '=', keyId)
    .execute();
  return Object.fromEntries(
    rows.map(({ start, captured, held }) => [
      start,
      `${captured / NANO_PER_TOKEN}+${held / NANO_PER_TOKEN}`,
    ]),
  );
}

export function expectPaid(answers: Answer[], served: number): void {
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(served);
}

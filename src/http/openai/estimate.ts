/** POST /v1/credits/estimate: what a request would cost; for anybody, and more for who is signed in. */
import { z } from 'zod';
import type { Accounts } from '../../accounts.ts';
import type { Catalogue } from '../../catalogue.ts';
import type { Principal } from '../../auth/principal.ts';
import type { Clock } from '../../clock.ts';
import { estimate, inCredits } from '../../estimate.ts';
import type { KeySpending } from '../../keys/spending.ts';
import { formatUsd, nanoUsd, type NanoUsd } from '../../money.ts';
import type { Quotes } from '../../quotes.ts';
import { operation } from '../operation.ts';

export interface EstimateOptions {
  catalogue: Catalogue;
  accounts: Accounts;
  spending: KeySpending;
  clock: Clock;
  creditUsd: NanoUsd;
  quotes: Quotes;
}

const range = <T extends z.ZodType>(of: T) => z.strictObject({ min: of, expected: of, max: of });

const answer = z.strictObject({
  object: z.literal('credits.estimate'),
  model: z.string(),
  modality: z.string(),
  currency: z.literal('USD'),
  credit_usd: z.string(),
  credits: range(z.number()),
  usd: range(z.string()),
  /** Of tokens, in and out; of media, whatever the price is about. */
  units: z.record(z.string(), z.number()),
  rules: z.array(z.looseObject({ unit: z.string(), usd: z.string() })),
  assumed: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  price_version: z.string(),
  /** Binds for ten minutes: send its id as `quote_id` or X-Quote-Id. */
  quote: z.strictObject({ id: z.string(), max_usd: z.string(), expires_at: z.string() }),
  within_max_credits: z.boolean().nullable(),
  affordable: z
    .strictObject({
      available_usd: z.string(),
      is_affordable: z.boolean(),
      max_tokens: z.number().nullable().optional(),
      max_n: z.number().nullable().optional(),
      max_seconds: z.number().nullable().optional(),
    })
    .nullable(),
});

const body = z.looseObject({
  model: z.string('must be the name of a model, such as those of GET /v1/models').min(1),
  modality: z.string().optional(),
  max_credits: z.union([z.number(), z.string()]).nullable().optional(),
  n: z.number().nullable().optional(),
});

export function creditsEstimate(options: EstimateOptions) {
  const { catalogue, creditUsd, quotes } = options;
  return operation<z.infer<typeof body>>({
    summary: 'What a request would cost, without charging for it',
    right: null,
    isForCallerToo: true,
    body,
    answer,
    run: async ({ principal, body: fields }) => {
      const found = estimate(fields, catalogue, creditUsd);
      const { model, price } = found.entry;
      const amounts = { min: found.min, expected: found.expected, max: found.max };
      const quote = await quotes.make(found.quoted, found.entry);
      return {
        object: 'credits.estimate',
        model: model.id,
        modality: model.type,
        currency: 'USD',
        credit_usd: formatUsd(creditUsd),
        credits: mapped(amounts, (amount) => inCredits(amount, creditUsd)),
        usd: mapped(amounts, formatUsd),
        units: found.units,
        rules: [...found.rules],
        assumed: found.assumed,
        price_version: price.version,
        quote: {
          id: quote.id,
          max_usd: formatUsd(found.max),
          expires_at: new Date(quote.expiresAtMs).toISOString(),
        },
        within_max_credits: found.isWithinMaxCredits,
        affordable: principal ? await affordable(principal) : null,
      };

      async function affordable(who: Principal) {
        const available = await spendable(who, options);
        return {
          available_usd: formatUsd(available),
          is_affordable: found.max <= available,
          ...found.largest(available),
        };
      }
    },
  });
}

/** What the balance and every limit of the key leave. */
async function spendable(who: Principal, options: EstimateOptions): Promise<NanoUsd> {
  const { accounts, spending, clock } = options;
  const available = await accounts.available(who.accountId);
  const keys = who.kind === 'key' ? [who.keyId, ...who.ancestors] : [];
  const room = await spending.room(keys, clock.nowMs());
  return nanoUsd(Math.max(0, Math.min(available, room ?? available)));
}

function mapped<T>(
  { min, expected, max }: { min: NanoUsd; expected: NanoUsd; max: NanoUsd },
  to: (amount: NanoUsd) => T,
) {
  return { min: to(min), expected: to(expected), max: to(max) };
}

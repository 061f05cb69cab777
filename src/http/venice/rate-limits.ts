/** Venice's /api/v1/api_keys/rate_limits and its log: what a caller may do, what it has, and when it was over a limit. */
import { z } from 'zod';
import type { Accounts } from '../../accounts.ts';
import type { Principal } from '../../auth/principal.ts';
import type { Catalogue } from '../../catalogue.ts';
import type { Clock } from '../../clock.ts';
import type { Keys } from '../../keys/keys.ts';
import { requireModel } from '../../keys/rules.ts';
import type { KeySpending } from '../../keys/spending.ts';
import type { Guards } from '../../limits/guards.ts';
import { MEASURES } from '../../limits/rates.ts';
import { operation } from '../operation.ts';
import { dollars } from '../x402/shapes.ts';
import { isoOrNull, readScope } from './key-fields.ts';

export interface RateLimitsOptions {
  guards: Guards;
  catalogue: Catalogue;
  keys: Keys;
  spending: KeySpending;
  accounts: Accounts;
  clock: Clock;
}

/** Everybody here pays for what is used. */
const API_TIER = { id: 'paid', isCharged: true };
const DAY_MS = 86_400_000;

const standing = z.strictObject({
  accessPermitted: z.boolean(),
  apiTier: z.strictObject({ id: z.string(), isCharged: z.boolean() }),
  balances: z.strictObject({ USD: z.number(), DIEM: z.number() }),
  keyExpiration: z.string().nullable(),
  nextEpochBegins: z.string(),
  rateLimits: z.array(
    z.strictObject({
      apiModelId: z.string(),
      rateLimits: z.array(z.strictObject({ amount: z.number(), type: z.string() })),
    }),
  ),
});

export function getRateLimits(options: RateLimitsOptions) {
  return operation({
    summary: 'Balances and rate limits of the caller',
    right: 'keys.limits',
    answer: z.strictObject({ data: standing }),
    run: async ({ principal }) => {
      const nowMs = options.clock.nowMs();
      const available = await options.accounts.available(principal.accountId);
      // What the key itself may still spend of it.
      const room = (await options.spending.room(keysOf(principal), nowMs)) ?? available;
      const usable = room < available ? room : available;
      const isFrozen = await options.accounts.isFrozen(principal.accountId);
      return {
        data: {
          accessPermitted: usable > 0 && !isFrozen,
          apiTier: API_TIER,
          balances: { USD: dollars(usable), DIEM: 0 },
          keyExpiration: await expirationOf(principal, options),
          nextEpochBegins: new Date(nowMs - (nowMs % DAY_MS) + DAY_MS).toISOString(),
          rateLimits: limitsByModel(principal, options),
        },
      };
    },
  });
}

function keysOf(principal: Principal): string[] {
  return principal.kind === 'key' ? [principal.keyId, ...principal.ancestors] : [];
}

async function expirationOf(
  principal: Principal,
  { keys }: RateLimitsOptions,
): Promise<string | null> {
  if (principal.kind !== 'key') return null;
  const key = await keys.get(principal.keyId, readScope(principal));
  return isoOrNull(key.expires_at);
}

/** Of the models that the caller may use; a limit that is off is left out. */
function limitsByModel(
  principal: Principal,
  { catalogue, guards }: RateLimitsOptions,
): z.infer<typeof standing>['rateLimits'] {
  return catalogue.models().flatMap((model) => {
    if (!mayUse(principal, model)) return [];
    const limits = guards.rates.limitsOf(principal, model);
    const rateLimits = MEASURES.flatMap(({ field, name }) => {
      const amount = limits[field];
      return amount === null ? [] : [{ amount, type: name }];
    });
    return [{ apiModelId: model.id, rateLimits }];
  });
}

function mayUse(principal: Principal, model: { id: string; type: string }): boolean {
  if (principal.kind !== 'key') return true;
  try {
    requireModel(principal.rules, model);
    return true;
  } catch {
    return false;
  }
}

const logged = z.strictObject({
  apiKeyId: z.string(),
  modelId: z.string(),
  rateLimitTier: z.string(),
  rateLimitType: z.enum(['RPD', 'RPM', 'TPM', 'FAILED_REQUESTS', 'UNSUPPORTED_FEATURE_REQUESTS']),
  timestamp: z.string(),
});

export function getRateLimitLog({ guards }: Pick<RateLimitsOptions, 'guards'>) {
  return operation({
    summary: 'The last 50 times that the account was over a rate limit',
    right: 'keys.limits',
    answer: z.strictObject({ object: z.literal('list'), data: z.array(logged) }),
    run: ({ principal }) => {
      const { under } = readScope(principal);
      const hits = guards.hits.list(principal.accountId, under);
      const data = hits.map(({ name, model, type, atMs }) => ({
        apiKeyId: name,
        modelId: model,
        rateLimitTier: API_TIER.id,
        rateLimitType: type,
        timestamp: new Date(atMs).toISOString(),
      }));
      return Promise.resolve({ object: 'list', data });
    },
  });
}

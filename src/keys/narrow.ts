/** A key that comes from another one may do less than it, never more. Each check names the field and what the nearest bound is. */
import type { ApiKeyRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import { isWithin } from '../ip-ranges.ts';
import { formatUsd, nanoUsd, parseUsd } from '../money.ts';
import { type KeyRules, matches, type RateRules, readRules } from './rules.ts';

type Bounded = Pick<ApiKeyRow, 'type' | 'expires_at' | 'limit_period' | 'limit_nano'>;

/** `above`: the keys that it comes from, nearest first. Throws invalid_request or forbidden. */
export function requireNarrower(
  key: Bounded,
  rules: KeyRules,
  above: readonly (Bounded & Pick<ApiKeyRow, 'rules'>)[],
): void {
  for (const parent of above) {
    if (key.type === 'ADMIN' && parent.type !== 'ADMIN') {
      throw new AppError('forbidden', 'An INFERENCE key makes INFERENCE keys only.');
    }
    if (parent.expires_at !== null && (key.expires_at ?? Infinity) > parent.expires_at) {
      const end = new Date(parent.expires_at).toISOString();
      throw wider('expiresAt', `not later than ${end}, when the key that it comes from ends`);
    }
    if (isAbove(key, parent)) {
      const most = formatUsd(nanoUsd(parent.limit_nano ?? 0));
      throw wider('consumptionLimit.usd', `at most ${most}, as for the key that it comes from`);
    }
    requireNarrowerRules(rules, readRules(parent.rules));
  }
}

function isAbove(key: Bounded, parent: Bounded): boolean {
  const isSame = key.limit_period === parent.limit_period;
  return isSame && parent.limit_nano !== null && (key.limit_nano ?? 0) > parent.limit_nano;
}

function requireNarrowerRules(rules: KeyRules, parent: KeyRules): void {
  requireSubset('models', rules.models, parent.models, (own, bound) => matches(bound, own));
  requireSubset('ips', rules.ips, parent.ips, isWithin);
  requireSubset('modalities', rules.modalities, parent.modalities, (own, bound) => own === bound);
  requireSubset('groups', rules.groups, parent.groups, (own, bound) => own === bound);
  const { maxRequestUsd: own } = rules;
  const { maxRequestUsd: bound } = parent;
  if (own !== undefined && bound !== undefined && parseUsd(own) > parseUsd(bound)) {
    throw wider('maxRequestUsd', `at most ${bound}, as for the key that it comes from`);
  }
  for (const name of RATES) {
    const most = parent.rateLimits?.[name];
    if (most !== undefined && (rules.rateLimits?.[name] ?? 0) > most) {
      throw wider(`rateLimits.${name}`, `at most ${most}, as for the key that it comes from`);
    }
  }
}

const RATES = [
  'requestsPerMinute',
  'requestsPerDay',
  'tokensPerMinute',
  'tokensPerDay',
] as const satisfies (keyof RateRules)[];

/** What is left out is taken over from above when the key is used. */
function requireSubset(
  field: string,
  own: readonly string[] | undefined,
  bounds: readonly string[] | undefined,
  isIn: (own: string, bound: string) => boolean,
): void {
  if (!own || !bounds) return;
  const outside = own.find((item) => !bounds.some((bound) => isIn(item, bound)));
  if (outside === undefined) return;
  throw wider(field, `within ${bounds.join(', ')}; ${outside} is not`);
}

function wider(field: string, right: string): AppError {
  const message = `${field}: must be ${right}.`;
  const tree = { _errors: [], [field]: { _errors: [message] } };
  return new AppError('invalid_request', message, { details: tree });
}

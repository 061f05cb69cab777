/** What key routes take and answer, and how it is said. */
import { z } from 'zod';
import { type Principal, principalName } from '../../auth/principal.ts';
import { ipRanges } from '../../ip-ranges.ts';
import type { By, KeyScope } from '../../keys/keys.ts';
import { MODALITIES } from '../../keys/rules.ts';
import { parseUsd } from '../../money.ts';

export const keyType = z.enum(['INFERENCE', 'ADMIN'], 'must be INFERENCE or ADMIN');
export const limitPeriod = z.enum(
  ['EPOCH', 'MONTH', 'LIFETIME'],
  'must be EPOCH (a UTC day), MONTH (a UTC calendar month) or LIFETIME',
);

const amount = z
  .number('must be a number of at least 0, or null')
  .min(0, 'must be at least 0')
  .max(9_999_999_999, 'must be at most 9999999999')
  .nullable();

/** Venice's: only `usd` is enforced here. */
export const consumptionLimit = z.strictObject({
  usd: amount.optional(),
  diem: amount.optional(),
  vcu: amount.optional(),
});

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z$/;

/** '' for never, a UTC date (its beginning) or a UTC date and time. */
export const expiresAt = z
  .string('must be text')
  .refine(
    (text) => text === '' || ((DATE.test(text) || DATE_TIME.test(text)) && isRealTime(text)),
    "must be '', a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z",
  );

/** 30 February is written like a date and is none. */
function isRealTime(text: string): boolean {
  const ms = Date.parse(text);
  return Number.isFinite(ms) && new Date(ms).toISOString().startsWith(text.slice(0, 10));
}

/** Milliseconds; null for never; undefined where nothing was said. */
export function endOf(text: string | null | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  return text === null || text === '' ? null : Date.parse(text);
}

const MAX_ITEMS = 100;
const names = (most: number) => z.array(z.string().min(1).max(most)).max(MAX_ITEMS);
const count = z.int().min(0).max(1_000_000_000);

/** The rules of a key (src/keys/rules.ts). */
export const keyRules = z.strictObject({
  models: names(128).optional(),
  ips: names(64).refine(areRanges, 'must be IP addresses or CIDR ranges').optional(),
  modalities: z.array(z.enum(MODALITIES)).max(MODALITIES.length).optional(),
  groups: names(64).optional(),
  defaultGroup: z.string().min(1).max(64).optional(),
  budgetMode: z.enum(['clamp', 'refuse']).optional(),
  callbackUrl: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .optional(),
  maxRequestUsd: z
    .string()
    .refine(isUsd, 'must be a decimal amount of US dollars such as "0.25"')
    .optional(),
  rateLimits: z
    .strictObject({
      requestsPerMinute: count.optional(),
      requestsPerDay: count.optional(),
      tokensPerMinute: count.optional(),
      tokensPerDay: count.optional(),
    })
    .optional(),
});

function areRanges(list: string[]): boolean {
  try {
    ipRanges(list);
    return true;
  } catch {
    return false;
  }
}

function isUsd(text: string): boolean {
  try {
    parseUsd(text);
    return true;
  } catch {
    return false;
  }
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

export function byOf(principal: Principal): By {
  return { actor: principalName(principal), isMetered: true };
}

/** An account that nobody has: of a wallet that never paid, which has no keys either. */
const NO_ACCOUNT = '';

/** The keys that somebody sees: an INFERENCE key itself and those that come from it, everybody else those of the account. */
export function readScope(principal: Principal): KeyScope {
  const accountId = principal.accountId ?? NO_ACCOUNT;
  if (principal.role !== 'inference') return { accountId, under: null };
  return { accountId, under: principal.keyId, withSelf: true };
}

/** The keys that somebody changes: a key with limits or rules of its own only those that come from it, so it never raises its own. */
export function changeScope(principal: Principal): KeyScope {
  const accountId = principal.accountId ?? NO_ACCOUNT;
  return { accountId, under: boundKey(principal) };
}

/** Who pays for a new key, and which key it comes from. */
export function originOf(principal: Principal) {
  if (principal.kind === 'wallet') return { wallet: principal.wallet };
  return { accountId: principal.accountId, parentId: boundKey(principal) };
}

/** An ADMIN key without any limit, rule or end of its own acts for the whole account; every other key only below itself. */
function boundKey(principal: Principal): string | null {
  if (principal.kind !== 'key') return null;
  return principal.role === 'inference' || principal.isBound ? principal.keyId : null;
}

/** /api/v1/keys: keys with all that Venice's shape has no field for (rules, parents, spending by period). Masked when read. */
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { CreatedKey, KeyChanges, KeyInfo, Keys, NewKey } from '../../keys/keys.ts';
import { NO_LIMITS, readLimits } from '../../keys/limits.ts';
import { type KeyRules, readRules } from '../../keys/rules.ts';
import type { KeySpending, Spent } from '../../keys/spending.ts';
import { formatUsd, nanoUsd } from '../../money.ts';
import { operation } from '../operation.ts';
import {
  byOf,
  changeScope,
  endOf,
  expiresAt,
  isoOrNull,
  keyRules,
  keyType,
  limitPeriod,
  originOf,
  readScope,
} from './key-fields.ts';

export interface KeysOptions {
  keys: Keys;
  spending: KeySpending;
  clock: Clock;
}

const MAX_LISTED = 500;

const label = z.string('must be text').max(64, 'must be at most 64 characters');
const usd = z
  .number('must be a number of US dollars of at least 0')
  .min(0, 'must be at least 0')
  .max(9_999_999_999, 'must be at most 9999999999');
const limit = z.strictObject({ usd, period: limitPeriod.default('EPOCH') });
const { shape: rules } = keyRules;

const createBody = z.strictObject({
  label: label.optional(),
  /** Another word for `label`. */
  name: label.optional(),
  type: keyType.default('INFERENCE'),
  limit: limit.nullable().optional(),
  expiresAt: expiresAt.nullable().optional(),
  ...rules,
});

const updateBody = z.strictObject({
  label: label.optional(),
  name: label.optional(),
  limit: limit.nullable().optional(),
  expiresAt: expiresAt.nullable().optional(),
  // In a change, null takes a rule away.
  models: rules.models.nullable(),
  ips: rules.ips.nullable(),
  modalities: rules.modalities.nullable(),
  groups: rules.groups.nullable(),
  defaultGroup: rules.defaultGroup.nullable(),
  budgetMode: rules.budgetMode.nullable(),
  callbackUrl: rules.callbackUrl.nullable(),
  maxRequestUsd: rules.maxRequestUsd.nullable(),
  rateLimits: rules.rateLimits.nullable(),
});

const view = z.strictObject({
  id: z.string(),
  label: z.string(),
  type: keyType,
  status: z.enum(['active', 'expired', 'revoked']),
  /** The first and last characters of the key; never more. */
  masked: z.string(),
  accountId: z.string(),
  parentId: z.string().nullable(),
  limit: z.strictObject({ usd: z.number(), period: limitPeriod, remaining: z.string() }).nullable(),
  expiresAt: z.string().nullable(),
  createdAt: z.string(),
  lastUsedAt: z.string().nullable(),
  spent: z.strictObject({ today: z.string(), month: z.string(), total: z.string() }),
  ...rules,
});

export type KeyView = z.infer<typeof view>;
export { createBody as keyCreateBody, updateBody as keyUpdateBody, view as keyView };

export const createdView = view.extend({ key: z.string() });

export function createKey(options: KeysOptions) {
  return operation<z.infer<typeof createBody>>({
    summary: 'Make an API key',
    right: 'keys.mint',
    body: createBody,
    answer: createdView,
    status: 201,
    mints: true,
    run: async ({ principal, body }) => {
      const key = await options.keys.create(
        { ...originOf(principal), ...newKey(body) },
        byOf(principal),
      );
      return createdKeyView(key, options);
    },
  });
}

export function newKey(body: z.infer<typeof createBody>): NewKey {
  const { type, limit: max, expiresAt: end } = body;
  return {
    type,
    description: body.label ?? body.name ?? '',
    limits: { ...NO_LIMITS, usd: max?.usd ?? null },
    limitPeriod: max?.period,
    expiresAtMs: endOf(end),
    rules: rulesIn(body, {}),
  };
}

export async function createdKeyView(
  { secret, ...key }: CreatedKey,
  options: KeysOptions,
): Promise<z.infer<typeof createdView>> {
  const [shown] = await viewsOf([key], options);
  return { ...shown!, key: secret };
}

export function listKeys(options: KeysOptions) {
  return operation({
    summary: 'List active API keys, masked',
    right: 'keys.read',
    answer: z.strictObject({ object: z.literal('list'), data: z.array(view) }),
    run: async ({ principal }) => {
      const page = { limit: MAX_LISTED, offset: 0, isActive: true };
      const keys = await options.keys.list(readScope(principal), page);
      return { object: 'list', data: await viewsOf(keys, options) };
    },
  });
}

export function getKey(options: KeysOptions) {
  return operation({
    summary: 'One API key, masked',
    right: 'keys.read',
    answer: view,
    run: async ({ principal, params }) => {
      const key = await options.keys.get(params['id'] ?? '', readScope(principal));
      return (await viewsOf([key], options))[0];
    },
  });
}

export function updateKey(options: KeysOptions) {
  return operation<z.infer<typeof updateBody>>({
    summary: 'Change an API key',
    right: 'keys.change',
    body: updateBody,
    answer: view,
    run: async ({ principal, params, body }) => {
      const scope = changeScope(principal);
      const change = (old: KeyInfo) => keyChanges(body, old);
      const key = await options.keys.update(params['id'] ?? '', change, scope, byOf(principal));
      return (await viewsOf([key], options))[0];
    },
  });
}

/** What a body changes of a key, as it stands when it is changed. */
export function keyChanges(body: z.infer<typeof updateBody>, old: KeyInfo): KeyChanges {
  const { limit: max } = body;
  return {
    description: body.label ?? body.name,
    limits: max === undefined ? undefined : { usd: max?.usd ?? null },
    limitPeriod: max?.period,
    expiresAtMs: endOf(body.expiresAt),
    rules: rulesIn(body, readRules(old.rules)),
  };
}

function rulesIn(body: z.infer<typeof updateBody>, old: KeyRules): KeyRules {
  const merged: Record<string, unknown> = { ...old };
  for (const name of Object.keys(rules) as (keyof KeyRules)[]) {
    const said = body[name];
    if (said === null) delete merged[name];
    else if (said !== undefined) merged[name] = said;
  }
  return merged;
}

export function revokeKey({ keys }: KeysOptions) {
  return operation({
    summary: 'Revoke an API key and every key that comes from it',
    right: 'keys.change',
    answer: null,
    status: 204,
    run: async ({ principal, params }) => {
      // Ending a key widens nothing, so whoever sees it may.
      await keys.revoke(params['id'] ?? '', readScope(principal), byOf(principal));
    },
  });
}

export async function viewsOf(
  keys: KeyInfo[],
  { spending, clock }: Pick<KeysOptions, 'spending' | 'clock'>,
): Promise<KeyView[]> {
  const nowMs = clock.nowMs();
  const spent = await spending.of(keys, nowMs);
  return keys.map((key) => viewOf(key, spent.get(key.id)!, nowMs));
}

function viewOf(key: KeyInfo, spent: Spent, nowMs: number): KeyView {
  const isOver = key.expires_at !== null && key.expires_at <= nowMs;
  return {
    id: key.id,
    label: key.description,
    type: key.type,
    status: key.state === 'revoked' ? 'revoked' : isOver ? 'expired' : 'active',
    masked: `${key.type === 'ADMIN' ? 'ak' : 'ck'}_…${key.last6.slice(-4)}`,
    accountId: key.account_id,
    parentId: key.parent_id,
    limit: limitOf(key, spent),
    expiresAt: isoOrNull(key.expires_at),
    createdAt: new Date(key.created_at).toISOString(),
    lastUsedAt: isoOrNull(key.last_used_at),
    spent: {
      today: formatUsd(spent.day),
      month: formatUsd(spent.month),
      total: formatUsd(spent.life),
    },
    ...(readRules(key.rules) as Pick<KeyView, keyof KeyRules>),
  };
}

function limitOf(key: KeyInfo, spent: Spent): KeyView['limit'] {
  const { usd: most } = readLimits(key.limits);
  if (most === null || key.limit_nano === null) return null;
  const left = nanoUsd(Math.max(0, key.limit_nano - spent.period));
  return { usd: most, period: key.limit_period, remaining: formatUsd(left) };
}

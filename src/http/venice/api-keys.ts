/** /api/v1/api_keys, as Venice has them (seeds 003 and 004): strict bodies, `consumptionLimit` when created, plural when read. */
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { AppError } from '../../errors.ts';
import type { CreatedKey, KeyInfo, Keys, NewKey } from '../../keys/keys.ts';
import { NO_LIMITS, readLimits } from '../../keys/limits.ts';
import type { KeySpending } from '../../keys/spending.ts';
import { formatUsd } from '../../money.ts';
import { operation } from '../operation.ts';
import {
  byOf,
  changeScope,
  consumptionLimit,
  endOf,
  expiresAt,
  isoOrNull,
  keyType,
  limitPeriod,
  originOf,
  readScope,
} from './key-fields.ts';

export interface ApiKeysOptions {
  keys: Keys;
  spending: KeySpending;
  clock: Clock;
}

/** An owner has 500 active keys at most. */
const MAX_LISTED = 500;

const description = z.string('must be text').max(64, 'must be at most 64 characters');
const limits = z.strictObject({
  usd: z.number().nullable(),
  diem: z.number().nullable(),
  vcu: z.number().nullable(),
});

const created = z.strictObject({
  success: z.boolean(),
  data: z.strictObject({
    id: z.string(),
    apiKey: z.string(),
    apiKeyType: keyType,
    consumptionLimit: limits,
    limitPeriod,
    description: z.string(),
    expiresAt: z.string().nullable(),
  }),
});

const told = z.strictObject({
  id: z.string(),
  apiKeyType: keyType,
  description: z.string(),
  last6Chars: z.string(),
  createdAt: z.string().nullable(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
  consumptionLimits: limits,
  limitPeriod,
  usage: z.strictObject({
    trailingSevenDays: z.strictObject({ usd: z.string(), vcu: z.string(), diem: z.string() }),
  }),
  currentPeriodUsage: z.strictObject({ usd: z.string(), diem: z.string() }).optional(),
});

const createBody = z.strictObject({
  apiKeyType: keyType,
  description,
  consumptionLimit: consumptionLimit.optional(),
  limitPeriod: limitPeriod.optional(),
  expiresAt: expiresAt.optional(),
});

export function createApiKey({ keys }: ApiKeysOptions) {
  return operation<z.infer<typeof createBody>>({
    summary: 'Create an API key',
    right: 'keys.mint',
    body: createBody,
    answer: created,
    mints: true,
    run: async ({ principal, body }) => {
      const key = { ...originOf(principal), ...newKeyOf(body) };
      return createdAnswer(await keys.create(key, byOf(principal)));
    },
  });
}

export function newKeyOf(body: z.infer<typeof createBody>): NewKey {
  return {
    type: body.apiKeyType,
    description: body.description,
    limits: { ...NO_LIMITS, ...defined(body.consumptionLimit) },
    limitPeriod: body.limitPeriod,
    expiresAtMs: endOf(body.expiresAt),
  };
}

/** The one time that the key is shown. */
export function createdAnswer(key: CreatedKey): z.infer<typeof created> {
  return {
    success: true,
    data: {
      id: key.id,
      apiKey: key.secret,
      apiKeyType: key.type,
      consumptionLimit: readLimits(key.limits),
      limitPeriod: key.limit_period,
      description: key.description,
      expiresAt: isoOrNull(key.expires_at),
    },
  };
}

export { created as createdKey, createBody as createKeyBody };

const list = z.strictObject({ object: z.literal('list'), data: z.array(told) });

export function listApiKeys(options: ApiKeysOptions) {
  return operation({
    summary: 'List active API keys',
    right: 'keys.read',
    answer: list,
    run: async ({ principal }) => {
      const page = { limit: MAX_LISTED, offset: 0, isActive: true };
      const found = await options.keys.list(readScope(principal), page);
      return { object: 'list', data: await describe(found, options) };
    },
  });
}

export function getApiKey(options: ApiKeysOptions) {
  return operation({
    summary: 'One API key',
    right: 'keys.read',
    answer: z.strictObject({ data: told }),
    run: async ({ principal, params }) => {
      const key = await options.keys.get(params['id'] ?? '', readScope(principal));
      const [data] = await describe([key], options);
      return { data };
    },
  });
}

const updateBody = z.strictObject({
  id: z.string('must be the id of a key').min(1),
  description: description.optional(),
  consumptionLimit: consumptionLimit.optional(),
  limitPeriod: limitPeriod.optional(),
  expiresAt: expiresAt.nullable().optional(),
});

export function updateApiKey({ keys }: ApiKeysOptions) {
  return operation<z.infer<typeof updateBody>>({
    summary: 'Change an API key',
    right: 'keys.change',
    body: updateBody,
    answer: z.strictObject({
      success: z.boolean(),
      data: told.omit({ usage: true, currentPeriodUsage: true }),
    }),
    run: async ({ principal, body }) => {
      const { id, description: text, limitPeriod: period } = body;
      const changes = {
        description: text,
        limits: body.consumptionLimit && defined(body.consumptionLimit),
        limitPeriod: period,
        expiresAtMs: endOf(body.expiresAt),
      };
      const key = await keys.update(id, changes, changeScope(principal), byOf(principal));
      return { success: true, data: plain(key) };
    },
  });
}

const deleteQuery = z.object({ id: z.string().min(1).optional() });

export function deleteApiKey({ keys }: ApiKeysOptions) {
  return operation<undefined, z.infer<typeof deleteQuery>>({
    summary: 'Revoke an API key and every key that comes from it',
    right: 'keys.change',
    query: deleteQuery,
    answer: z.strictObject({ success: z.boolean() }),
    run: async ({ principal, query, params }) => {
      const id = params['id'] ?? query.id;
      if (id === undefined) throw missingId();
      // Ending a key widens nothing, so whoever sees it may.
      await keys.revoke(id, readScope(principal), byOf(principal));
      return { success: true };
    },
  });
}

function missingId(): AppError {
  const message = 'id: must be the id of a key.';
  return new AppError('invalid_request', message, {
    details: { _errors: [], id: { _errors: [message] } },
  });
}

async function describe(keys: KeyInfo[], { spending, clock }: ApiKeysOptions) {
  const spent = await spending.of(keys, clock.nowMs());
  return keys.map((key) => {
    const { week, period } = spent.get(key.id)!;
    return {
      ...plain(key),
      usage: { trailingSevenDays: { usd: formatUsd(week), vcu: '0', diem: '0' } },
      ...(hasLimit(key) && { currentPeriodUsage: { usd: formatUsd(period), diem: '0' } }),
    };
  });
}

function hasLimit(key: KeyInfo): boolean {
  return Object.values(readLimits(key.limits)).some((limit) => limit !== null);
}

function plain(key: KeyInfo) {
  return {
    id: key.id,
    apiKeyType: key.type,
    description: key.description,
    last6Chars: key.last6,
    createdAt: isoOrNull(key.created_at),
    expiresAt: isoOrNull(key.expires_at),
    lastUsedAt: isoOrNull(key.last_used_at),
    consumptionLimits: readLimits(key.limits),
    limitPeriod: key.limit_period,
  };
}

/** Without the fields that were not said, which leave what is there. */
function defined(
  said: z.infer<typeof consumptionLimit> = {},
): Partial<{ usd: number | null; diem: number | null; vcu: number | null }> {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

/**
 * /admin/api/keys: keys of anybody, operator keys among them. An operator key that is bound itself (a limit, a rule, an end) makes and
 * changes keys of the house only below itself: nothing that it makes does more than it.
 */
import { z } from 'zod';
import { type Principal, principalName } from '../../auth/principal.ts';
import type { By, KeyScope } from '../../keys/keys.ts';
import { ALL_KEYS, HOUSE_ACCOUNT } from '../../keys/keys.ts';
import { operation } from '../operation.ts';
import {
  createdKeyView,
  createdView,
  keyChanges,
  keyCreateBody,
  keyUpdateBody,
  keyView,
  newKey,
  viewsOf,
} from '../venice/keys.ts';
import { listAnswer, listOf, page, reason } from './fields.ts';
import type { AdminOptions } from './options.ts';

const listQuery = z.strictObject({
  ...page,
  accountId: z.string().max(64).optional(),
  status: z.enum(['active', 'all']).default('all'),
});

export function listAllKeys(options: AdminOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Keys of everybody, masked',
    right: 'admin',
    query: listQuery,
    answer: listOf(keyView),
    run: async ({ principal, query: { limit, cursor: before, accountId, status } }) => {
      const found = await options.operator.lists.keys(principal, {
        limit: limit + 1,
        before,
        accountId,
        state: status === 'active' ? 'active' : undefined,
      });
      const views = await viewsOf(found, options);
      return listAnswer(views, limit, { view: (key) => key, cursor: ({ id }) => id });
    },
  });
}

export function getAnyKey(options: AdminOptions) {
  return operation({
    summary: 'One key, masked',
    right: 'admin',
    answer: keyView,
    run: async ({ params }) => {
      const key = await options.keys.get(params['id'] ?? '', ALL_KEYS);
      return (await viewsOf([key], options))[0];
    },
  });
}

const createBody = keyCreateBody.extend({
  /** Whose balance it spends; without it the house. An ADMIN key of the house is an operator's key. */
  accountId: z.string().min(1).max(64).default(HOUSE_ACCOUNT),
  reason,
});

export function createAnyKey(options: AdminOptions) {
  return operation<z.infer<typeof createBody>>({
    summary: 'Make a key of any account',
    right: 'admin',
    body: createBody,
    answer: createdView,
    status: 201,
    mints: true,
    run: async ({ principal, body }) => {
      const { accountId, reason: why, ...rest } = body;
      const parentId = accountId === HOUSE_ACCOUNT ? boundTo(principal) : null;
      const key = { ...newKey(rest), accountId, parentId };
      return createdKeyView(await options.keys.create(key, byOf(principal, why)), options);
    },
  });
}

const updateBody = keyUpdateBody.extend({ reason });

export function updateAnyKey(options: AdminOptions) {
  return operation<z.infer<typeof updateBody>>({
    summary: 'Change a key of any account',
    right: 'admin',
    body: updateBody,
    answer: keyView,
    run: async ({ principal, params, body }) => {
      const { reason: why, ...rest } = body;
      const id = params['id'] ?? '';
      const scope = await scopeOf(principal, id, options);
      const by = byOf(principal, why);
      const key = await options.keys.update(id, (old) => keyChanges(rest, old), scope, by);
      return (await viewsOf([key], options))[0];
    },
  });
}

/** A DELETE has no body for everybody: the reason may also be in the query. */
const revokeQuery = z.strictObject({ reason });

export function revokeAnyKey(options: AdminOptions) {
  return operation<undefined, z.infer<typeof revokeQuery>>({
    summary: 'Revoke a key of any account and every key that comes from it',
    right: 'admin',
    query: revokeQuery,
    answer: null,
    status: 204,
    run: async ({ principal, params, query }) => {
      const id = params['id'] ?? '';
      const scope = await scopeOf(principal, id, options);
      await options.keys.revoke(id, scope, byOf(principal, query.reason));
    },
  });
}

function byOf(principal: Principal, why: string): By {
  return { actor: principalName(principal), reason: why };
}

async function scopeOf(
  principal: Principal,
  id: string,
  { keys }: AdminOptions,
): Promise<KeyScope> {
  const under = boundTo(principal);
  if (under === null) return ALL_KEYS;
  const { account_id: accountId } = await keys.get(id, ALL_KEYS);
  return accountId === HOUSE_ACCOUNT ? { accountId, under } : ALL_KEYS;
}

function boundTo(principal: Principal): string | null {
  return principal.kind === 'key' && principal.isBound ? principal.keyId : null;
}

/** /admin/api/accounts/{id}/grants and /adjustments: credit that an operator gives or takes. */
import { z } from 'zod';
import type { AdjustmentRow } from '../../db/tables.ts';
import { formatUsd, nanoUsd, parseUsd } from '../../money.ts';
import { operation } from '../operation.ts';
import {
  amountOrNone,
  iso,
  listAnswer,
  listOf,
  pageQuery,
  reason,
  signedAmount,
  signedUsd,
  usd,
} from './fields.ts';
import type { AdminOptions } from './options.ts';

const adjustmentView = z.strictObject({
  id: z.string(),
  kind: z.enum(['GRANT', 'ADJUST']),
  accountId: z.string(),
  /** Negative where credit was taken. */
  amountUsd: z.string(),
  /** The adjustment that this one takes back. */
  reverses: z.string().nullable(),
  actor: z.string(),
  reason: z.string(),
  at: z.string(),
});

function shown(row: AdjustmentRow) {
  return {
    id: row.id,
    kind: row.kind,
    accountId: row.account_id,
    amountUsd: formatUsd(nanoUsd(row.change)),
    reverses: row.reverses,
    actor: row.actor,
    reason: row.reason,
    at: iso(row.at),
  };
}

export function listAdjustments({ operator }: AdminOptions) {
  return operation<undefined, z.infer<typeof pageQuery>>({
    summary: 'Credit given to and taken from an account',
    right: 'admin',
    query: pageQuery,
    answer: listOf(adjustmentView),
    run: async ({ principal, params, query: { limit, cursor: before } }) => {
      const { id } = await operator.lists.account(principal, params['id'] ?? '');
      const rows = await operator.lists.adjustments(principal, id, { limit: limit + 1, before });
      return listAnswer(rows, limit, { view: shown, cursor: (row) => row.id });
    },
  });
}

const grantBody = z.strictObject({
  amountUsd: usd,
  /** The amount once more, when it is large. */
  confirm: usd.optional(),
  reason,
});

export function grantCredit({ operator }: AdminOptions) {
  return operation<z.infer<typeof grantBody>>({
    summary: 'Give credit',
    right: 'admin',
    body: grantBody,
    answer: adjustmentView,
    status: 201,
    mints: true,
    run: async ({ principal, params, body }) => {
      const because = { reason: body.reason, confirm: amountOrNone(body.confirm) };
      const amount = parseUsd(body.amountUsd);
      return shown(await operator.accounts.grant(principal, params['id'] ?? '', amount, because));
    },
  });
}

const adjustBody = z.strictObject({
  amountUsd: signedUsd,
  /** The amount once more, without its sign or with it, when it is large. */
  confirm: signedUsd.optional(),
  reason,
});

export function adjustCredit({ operator }: AdminOptions) {
  return operation<z.infer<typeof adjustBody>>({
    summary: 'Correct a balance, up or down',
    right: 'admin',
    body: adjustBody,
    answer: adjustmentView,
    status: 201,
    mints: true,
    run: async ({ principal, params, body }) => {
      const confirm = body.confirm === undefined ? undefined : unsigned(body.confirm);
      const because = { reason: body.reason, confirm };
      const change = signedAmount(body.amountUsd);
      return shown(await operator.accounts.adjust(principal, params['id'] ?? '', change, because));
    },
  });
}

function unsigned(text: string) {
  return parseUsd(text.replace(/^-/, ''));
}

const reverseBody = z.strictObject({ reason });

export function reverseAdjustment({ operator }: AdminOptions) {
  return operation<z.infer<typeof reverseBody>>({
    summary: 'Take a grant or an adjustment back by a new entry',
    right: 'admin',
    body: reverseBody,
    answer: adjustmentView,
    status: 201,
    mints: true,
    run: async ({ principal, params, body }) => {
      const { id: account = '', adjustment = '' } = params;
      return shown(await operator.accounts.reverse(principal, { account, adjustment }, body));
    },
  });
}

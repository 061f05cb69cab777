/** /admin/api/payouts: the queue of those asked for, and making, approving, marking and cancelling them. */
import { z } from 'zod';
import type { PayoutRow } from '../../db/tables.ts';
import { parseUsd } from '../../money.ts';
import { payoutStatus } from '../../payouts/status.ts';
import { operation } from '../operation.ts';
import { listAnswer, listOf, page, reason, usd } from './fields.ts';
import type { AdminOptions } from './options.ts';

const payoutState = z.enum([
  'requested',
  'approved',
  'sent',
  'settled',
  'failed',
  'cancelled',
  'reversed',
]);
const method = z.enum(
  ['embedded', 'manual'],
  'must be embedded (sent by the treasury key) or manual (sent by hand)',
);

export const payoutView = z.strictObject({
  id: z.string(),
  status: payoutState,
  network: z.string(),
  recipient: z.string(),
  amountUsd: z.string(),
  method: method.nullable(),
  transaction: z.string().nullable(),
  reason: z.string().nullable(),
  createdAt: z.string(),
  sentAt: z.string().nullable(),
  settledAt: z.string().nullable(),
});
const adminView = payoutView.extend({ accountId: z.string(), askedBy: z.string() });

function shown(row: PayoutRow) {
  return { ...payoutStatus(row), accountId: row.account_id, askedBy: row.asked_by };
}

const listQuery = z.strictObject({
  ...page,
  state: payoutState.optional(),
  accountId: z.string().max(64).optional(),
});

export function listPayouts({ payouts }: AdminOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Payouts; state=requested is the queue',
    right: 'admin',
    query: listQuery,
    answer: listOf(adminView),
    run: async ({ query: { limit, cursor: before, state, accountId } }) => {
      const rows = await payouts.list({ limit: limit + 1, before, state, accountId });
      return listAnswer(rows, limit, { view: shown, cursor: ({ id }) => id });
    },
  });
}

export function getPayout({ payouts }: AdminOptions) {
  return operation({
    summary: 'One payout',
    right: 'admin',
    answer: adminView,
    run: async ({ params }) => shown(await payouts.get(params['id'] ?? '')),
  });
}

const makeBody = z.strictObject({
  /** Left out: all that the account has. */
  amountUsd: usd.optional(),
  /** CAIP-2 id of a network of the wallet's family; the first without it. */
  network: z.string().max(64).optional(),
  method: method.default('embedded'),
  reason,
});

export function makePayout({ payouts }: AdminOptions) {
  return operation<z.infer<typeof makeBody>>({
    summary: 'Pay unspent money back to the wallet of an account',
    right: 'admin',
    body: makeBody,
    answer: adminView,
    status: 201,
    mints: true,
    run: async ({ principal, params, body }) => {
      const { amountUsd, ...rest } = body;
      const amount = amountUsd === undefined ? null : parseUsd(amountUsd);
      const accountId = params['id'] ?? '';
      return shown(await payouts.make(principal, { accountId, amount, ...rest }));
    },
  });
}

const approveBody = z.strictObject({ method: method.default('embedded'), reason });

export function approvePayout({ payouts }: AdminOptions) {
  return operation<z.infer<typeof approveBody>>({
    summary: 'Approve a payout; embedded ones are sent at once',
    right: 'admin',
    body: approveBody,
    answer: adminView,
    run: async ({ principal, params, body }) =>
      shown(await payouts.approve(principal, params['id'] ?? '', body)),
  });
}

const sentBody = z.strictObject({
  transaction: z.string('must be the id of the transaction').min(1).max(128),
  reason,
});

export function markPayoutSent({ payouts }: AdminOptions) {
  return operation<z.infer<typeof sentBody>>({
    summary: 'Say which transaction paid it, sent by hand; it counts once the chain shows it',
    right: 'admin',
    body: sentBody,
    answer: adminView,
    run: async ({ principal, params, body }) =>
      shown(await payouts.sentByHand(principal, params['id'] ?? '', body)),
  });
}

const cancelBody = z.strictObject({ reason });

export function cancelPayout({ payouts }: AdminOptions) {
  return operation<z.infer<typeof cancelBody>>({
    summary: 'Cancel a payout that was not sent; the money goes back to the balance',
    right: 'admin',
    body: cancelBody,
    answer: adminView,
    run: async ({ principal, params, body }) =>
      shown(await payouts.cancel(principal, params['id'] ?? '', body.reason)),
  });
}

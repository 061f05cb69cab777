/** /admin/api/payments: what was paid in, and what became of it. */
import { z } from 'zod';
import type { PaymentRow } from '../../db/tables.ts';
import { AppError } from '../../errors.ts';
import { statusOf } from '../../payments/status.ts';
import { operation } from '../operation.ts';
import { listAnswer, listOf, page } from './fields.ts';
import type { AdminOptions } from './options.ts';

const paymentState = z.enum(['received', 'submitted', 'settled', 'failed', 'expired', 'reversed']);

const paymentView = z.strictObject({
  id: z.string(),
  status: z.enum(['pending', 'settled', 'failed', 'expired', 'reversed']),
  network: z.string(),
  payer: z.string(),
  amountUsd: z.string(),
  transaction: z.string().nullable(),
  reason: z.string().nullable(),
  createdAt: z.string(),
  settledAt: z.string().nullable(),
  accountId: z.string().nullable(),
  payTo: z.string(),
  /** Dialect of x402, and the header it came in. */
  dialect: z.string(),
  block: z.string().nullable(),
  isFinal: z.boolean(),
  /** Credited on a facilitator's word alone, so far. */
  isExposed: z.boolean(),
  attempts: z.int(),
});

function shown(row: PaymentRow) {
  return {
    ...statusOf(row),
    accountId: row.account_id,
    payTo: row.pay_to,
    dialect: row.dialect,
    block: row.block,
    isFinal: row.is_final === 1,
    isExposed: row.is_exposed === 1,
    attempts: row.attempts,
  };
}

const listQuery = z.strictObject({
  ...page,
  state: paymentState.optional(),
  network: z.string().max(64).optional(),
  payer: z.string().max(64).optional(),
  accountId: z.string().max(64).optional(),
});

export function listPayments({ operator }: AdminOptions) {
  return operation<undefined, z.infer<typeof listQuery>>({
    summary: 'Payments of everybody',
    right: 'admin',
    query: listQuery,
    answer: listOf(paymentView),
    run: async ({ principal, query: { limit, cursor: before, payer, ...filter } }) => {
      const rows = await operator.lists.payments(principal, {
        ...filter,
        limit: limit + 1,
        before,
        payer: payer?.startsWith('0x') ? payer.toLowerCase() : payer,
      });
      return listAnswer(rows, limit, { view: shown, cursor: ({ id }) => id });
    },
  });
}

export function getPayment({ operator }: AdminOptions) {
  return operation({
    summary: 'One payment',
    right: 'admin',
    answer: paymentView,
    run: async ({ principal, params }) => {
      const row = await operator.lists.payment(principal, params['id'] ?? '');
      if (!row) throw new AppError('not_found', 'There is no such payment.');
      return shown(row);
    },
  });
}

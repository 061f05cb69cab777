/** …/x402/payouts: a wallet asks for its unspent money back. It goes to that wallet alone, once the operator has approved it. */
import { z } from 'zod';
import type { WalletPrincipal } from '../../auth/principal.ts';
import { AppError } from '../../errors.ts';
import { parseUsd } from '../../money.ts';
import type { Payouts } from '../../payouts/payouts.ts';
import { payoutStatus } from '../../payouts/status.ts';
import { payoutView } from '../admin/payouts.ts';
import { usd } from '../admin/fields.ts';
import { type Call, operation } from '../operation.ts';

export interface PayoutRouteOptions {
  payouts: Payouts;
}

const MAX_LISTED = 100;

const askBody = z.strictObject({
  /** Left out: all that was paid in and not spent. */
  amount_usd: z
    .union(
      [usd, z.number().min(0).max(1_000_000).transform(String).pipe(usd)],
      'must be an amount of US dollars such as "2.50"',
    )
    .optional(),
  /** CAIP-2 id of a network of the wallet's family; the first without it. */
  network: z.string().max(64).optional(),
});

const oneAnswer = z.strictObject({ success: z.literal(true), data: payoutView });
const listAnswer = z.strictObject({ success: z.literal(true), data: z.array(payoutView) });

export function askPayout({ payouts }: PayoutRouteOptions) {
  return operation<z.infer<typeof askBody>>({
    summary: 'Ask for unspent money back; the operator sends it to the wallet that signed in',
    right: 'payouts.ask',
    body: askBody,
    answer: oneAnswer,
    status: 201,
    mints: true,
    run: async (call) => {
      const { amount_usd: said, network } = call.body;
      const amount = said === undefined ? null : parseUsd(said);
      return {
        success: true,
        data: payoutStatus(await payouts.ask(walletOf(call), { amount, network })),
      };
    },
  });
}

export function listOwnPayouts({ payouts }: PayoutRouteOptions) {
  return operation({
    summary: 'Payouts of the wallet that signed in',
    right: 'payouts.ask',
    answer: listAnswer,
    run: async (call) => {
      const { accountId } = walletOf(call);
      const rows = accountId === null ? [] : await payouts.list({ accountId, limit: MAX_LISTED });
      return { success: true, data: rows.map(payoutStatus) };
    },
  });
}

export function getOwnPayout({ payouts }: PayoutRouteOptions) {
  return operation({
    summary: 'One payout of the wallet that signed in',
    right: 'payouts.ask',
    answer: oneAnswer,
    run: async (call) => {
      const { accountId } = walletOf(call);
      const row = await payouts.get(call.params['id'] ?? '', accountId);
      return { success: true, data: payoutStatus(row) };
    },
  });
}

function walletOf({ principal }: Call): WalletPrincipal {
  if (principal.kind === 'wallet') return principal;
  throw new AppError('forbidden', 'Only a wallet asks for its money back: sign in with it.');
}

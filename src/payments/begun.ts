/** Payments that were taken in before: they are answered by what became of them, also where they would not be taken today. */
import type { Rail } from '../chains/chain.ts';
import type { Rails } from '../chains/rails.ts';
import type { Clock } from '../clock.ts';
import type { PaymentRow } from '../db/tables.ts';
import { AppError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { PaymentHeader } from './header.ts';
import { findPayment } from './rows.ts';

/** Money may have moved, or has. */
const BEGUN = new Set(['submitted', 'settled', 'reversed']);

/**
 * What was taken in while it was good is carried to its end and answered with it for ever, also after it expired, or payTo or the fee
 * payer changed. `error`: what decoding it failed with, thrown again where there is no such payment.
 */
export async function takenBefore(
  { ledger }: { ledger: Ledger },
  { network, asset }: Rail,
  error: unknown,
): Promise<PaymentRow> {
  const details = error instanceof AppError ? error.details : undefined;
  const { payer, identity } = details ?? {};
  if (typeof payer === 'string' && typeof identity === 'string') {
    const row = await findPayment(ledger.read, { network, asset, payer, identity });
    if (row && row.state !== 'failed' && row.state !== 'expired') return row;
  }
  throw error;
}

/**
 * A payment on a network that is not among those `offered` any more, and that was handed on while it was: it may have moved money, so it
 * is never refused. Null for every other.
 */
export async function begunBefore(
  options: { ledger: Ledger; rails: Rails; clock: Clock },
  offered: readonly Rail[],
  { network, payload }: PaymentHeader,
): Promise<PaymentRow | null> {
  const { ledger, rails, clock } = options;
  if (offered.some((rail) => rail.network === network)) return null;
  const rail = rails.toLook(network);
  if (!rail) return null;
  const row = await rail.decode(payload, clock.nowMs()).then(
    (payment) => findPayment(ledger.read, payment),
    (error: unknown) => takenBefore(options, rail, error).catch(() => null),
  );
  return row && BEGUN.has(row.state) ? row : null;
}

/** POST …/x402/top-up: without a payment what may be paid (402), with one the credit. Needs no sign-in: the payer is the account. */
import type { PaymentsConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { formatUsd, type NanoUsd, parseUsd, subtractUsd } from '../../money.ts';
import { readPaymentHeader } from '../../payments/header.ts';
import { type Context, readBody, sendJson } from '../request.ts';
import { payingWallet, paymentHeaders, type StepOptions } from '../steps.ts';
import { topUpRequired } from './required.ts';
import { dollars } from './shapes.ts';

const MAX_BODY_BYTES = 16_384;

export function topUp(options: StepOptions) {
  return async (ctx: Context): Promise<void> => {
    const { state } = ctx;
    if (state.dialect === 'venice') state.dialect = 'x402';
    const body = await readBody(ctx.req, MAX_BODY_BYTES);
    const { payments } = state.credentials;
    if (!payments.length) {
      const amount = amountAsked(ctx, body, options.config);
      const url = `${state.origin}${ctx.path}`;
      throw topUpRequired(options, { amount, url, description: 'Top up a prepaid balance' });
    }
    const payment = readPaymentHeader(payments);
    await payingWallet(options, ctx, payment);
    const deposited = await options.payments.deposit(payment);
    paymentHeaders(ctx, deposited);
    const { balance, payer, credited, paymentId } = deposited;
    sendJson(ctx, 200, {
      success: true,
      data: {
        walletAddress: payer,
        amountCredited: dollars(credited),
        newBalance: dollars(subtractUsd(balance.posted, balance.held)),
        paymentId,
      },
    });
  };
}

/** `?amount_usd=`, or a JSON body with amount_usd or amountUsd; the minimum top-up by default. */
function amountAsked(ctx: Context, body: Buffer, config: PaymentsConfig): NanoUsd {
  const { amount_usd: snake, amount: short } = ctx.query;
  const asked = snake ?? short ?? amountInBody(body);
  if (asked === undefined || asked === null) return config.minimumTopUp;
  const { minimumTopUp: least, maximumTopUp: most } = config;
  const amount = amountOf(asked);
  if (amount !== null && amount >= least && amount <= most) return amount;
  throw new AppError(
    'invalid_request',
    `amount_usd: must be a decimal between ${formatUsd(least)} and ${formatUsd(most)} US dollars.`,
    { details: { field: 'amount_usd' } },
  );
}

function amountOf(asked: unknown): NanoUsd | null {
  if (typeof asked !== 'string' && typeof asked !== 'number') return null;
  try {
    return parseUsd(String(asked));
  } catch {
    return null;
  }
}

function amountInBody(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString());
  } catch {
    throw new AppError('invalid_json', 'The body must be JSON, such as {"amount_usd":"10"}.');
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { amount_usd: snake, amountUsd: camel } = parsed as Record<string, unknown>;
  return snake ?? camel;
}

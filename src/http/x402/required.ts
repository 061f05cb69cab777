/** The bodies and headers of 402 answers: x402's PaymentRequired, Venice's two shapes, and the sign-in challenge. */
import type { PaymentRequirements } from '../../chains/chain.ts';
import type { Siwx } from '../../auth/siwx.ts';
import type { PaymentsConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { formatUsd, type NanoUsd, nanoUsd, subtractUsd } from '../../money.ts';
import type { Balance } from '../../ledger/ledger.ts';
import type { Payments } from '../../payments/payments.ts';
import { PaymentRequired } from '../steps.ts';

export interface RequiredOptions {
  payments: Payments;
  config: PaymentsConfig;
  siwx: Siwx;
}

const CENT = 10_000_000;

/** Rounded up to a cent, at least the inline minimum, at most what one payment may be. */
export function inlineAmount(config: PaymentsConfig, needed: NanoUsd | null): NanoUsd {
  if (needed === null) return config.minimumTopUp;
  const cents = nanoUsd(Math.ceil(needed / CENT) * CENT);
  return nanoUsd(Math.min(Math.max(cents, config.inlineMinimum), config.maximumTopUp));
}

interface Asked {
  amount: NanoUsd;
  /** URL of the resource that is paid for. */
  url: string;
  description: string;
}

function accepts(options: RequiredOptions, amount: NanoUsd): PaymentRequirements[] {
  const list = options.payments.requirements(amount);
  if (list.length) return list;
  throw new AppError('unavailable', 'No payment network can be used at the moment.', {
    retryAfterSeconds: 30,
  });
}

/** x402's object, whole: it goes into the PAYMENT-REQUIRED header. */
function paymentRequired(
  options: RequiredOptions,
  asked: Asked,
  list: PaymentRequirements[],
  error: string,
) {
  return {
    x402Version: 2,
    error,
    resource: { url: asked.url, description: asked.description, mimeType: 'application/json' },
    accepts: list,
    extensions: {
      'sign-in-with-x': { ...options.siwx.challenge(asked.url) },
      'payment-identifier': { info: { required: false } },
    },
  };
}

function header(object: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(object)).toString('base64');
}

/** An unpaid top-up: the body holds exactly these two members, the header all of it. */
export function topUpRequired(
  options: RequiredOptions,
  amount: NanoUsd,
  url: string,
): PaymentRequired {
  const list = accepts(options, amount);
  const asked = { amount, url, description: 'Top up a prepaid balance' };
  const whole = paymentRequired(options, asked, list, 'Payment required');
  const error = new AppError('payment_required', 'Payment required');
  return new PaymentRequired(error, { x402Version: 2, accepts: list }, header(whole));
}

/** No credentials at all on a paid route. */
export function credentialsRequired(
  options: RequiredOptions,
  asked: Asked,
  origin: string,
): PaymentRequired {
  const error = new AppError(
    'payment_required',
    'Payment required: pay for this request, sign in with a wallet that has a balance, or send an API key.',
  );
  const list = accepts(options, asked.amount);
  const whole = paymentRequired(options, asked, list, error.message);
  const body = {
    ...whole,
    authOptions: {
      apiKey: { header: 'Authorization: Bearer <API key>' },
      x402Wallet: {
        header: 'SIGN-IN-WITH-X',
        legacyHeader: 'X-Sign-In-With-X',
        topUp: `${origin}/api/v1/x402/top-up`,
      },
    },
  };
  return new PaymentRequired(error, body, header(whole));
}

/** A wallet that is signed in and whose balance is too small: Venice's shape, with x402's object in the header. */
export function balanceRequired(
  options: RequiredOptions,
  asked: Asked,
  balance: Balance,
  dialect: 'v1' | 'venice',
): PaymentRequired {
  const { config } = options;
  const list = accepts(options, asked.amount);
  const available = subtractUsd(balance.posted, balance.held);
  const message = `Insufficient balance: $${formatUsd(available)} is available. Top up and try again.`;
  const whole = paymentRequired(options, asked, list, message);
  const error = new AppError('insufficient_balance', message);
  const facts = {
    reason: 'insufficient_balance',
    message,
    currentBalanceUsd: Number(formatUsd(available)),
    minimumBalanceUsd: Number(formatUsd(config.minimumBalance)),
    description: 'This request may cost more than the prepaid balance.',
    suggestedTopUpUsd: Number(formatUsd(config.suggestedTopUp)),
    minimumTopUpUsd: Number(formatUsd(config.minimumTopUp)),
    supportedTokens: ['USDC'],
    supportedChains: list.map(({ network }) => chainName(network)),
    topUpInstructions: instructions(config, list),
    siwxChallenge: options.siwx.challenge(asked.url),
  };
  const body =
    dialect === 'venice'
      ? { error: 'Payment required', code: 'PAYMENT_REQUIRED', ...facts }
      : { error: { message, type: 'gateway_error', code: 'insufficient_credits' }, ...facts };
  return new PaymentRequired(error, body, header(whole));
}

const NAMES = new Map([
  ['eip155:8453', 'base'],
  ['eip155:84532', 'base-sepolia'],
]);

function chainName(network: string): string {
  return NAMES.get(network) ?? (network.startsWith('solana:') ? 'solana' : network);
}

function instructions(config: PaymentsConfig, list: PaymentRequirements[]) {
  const [first] = list;
  return {
    step1: 'POST /x402/top-up without a payment header to get the payment requirements.',
    step2: 'Sign a USDC payment for one of them with your wallet.',
    step3: 'POST /x402/top-up again with the PAYMENT-SIGNATURE header.',
    receiverWallet: first?.payTo,
    tokenAddress: first?.asset,
    tokenDecimals: 6,
    network: first?.network,
    minimumAmountUsd: Number(formatUsd(config.minimumTopUp)),
  };
}

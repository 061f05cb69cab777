/** The bodies and headers of 402 answers: x402's PaymentRequired, Venice's two shapes, and the sign-in challenge. */
import type { Siwx } from '../../auth/siwx.ts';
import type { PaymentRequirements } from '../../chains/chain.ts';
import type { PaymentsConfig } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { Balance } from '../../ledger/ledger.ts';
import { formatUsd, type NanoUsd, nanoUsd, subtractUsd } from '../../money.ts';
import type { Payments } from '../../payments/payments.ts';
import type { BazaarEntries } from '../discovery/bazaar.ts';
import type { Dialect } from '../errors.ts';
import { chainName, dollars } from './shapes.ts';

export interface RequiredOptions {
  payments: Payments;
  config: PaymentsConfig;
  siwx: Siwx;
  /** What catalogues of paid resources are told. */
  bazaar?: BazaarEntries;
}

/** A 402 with its own body, and the full x402 object for its header; null where nothing can be paid at the moment. */
export class PaymentRequired extends AppError {
  readonly body: Record<string, unknown>;
  readonly header: string | null;

  constructor(error: AppError, body: Record<string, unknown>, header: string | null) {
    super(error.code, error.message);
    this.body = body;
    this.header = header;
  }
}

export interface Asked {
  amount: NanoUsd;
  /** URL of the resource that is paid for. */
  url: string;
  description: string;
}

const CENT = 10_000_000;
const RAIL_RETRY_SECONDS = 30;

/** What a request needs, rounded up to a cent, at least the inline minimum, at most what one payment may be. */
export function inlineAmount(config: PaymentsConfig, needed: NanoUsd | null): NanoUsd {
  if (needed === null) return config.minimumTopUp;
  const cents = nanoUsd(Math.ceil(needed / CENT) * CENT);
  return nanoUsd(Math.min(Math.max(cents, config.inlineMinimum), config.maximumTopUp));
}

function accepts({ payments }: RequiredOptions, amount: NanoUsd): PaymentRequirements[] {
  const list = payments.requirements(amount);
  if (list.length) return list;
  throw new AppError('unavailable', 'No payment network can be used at the moment.', {
    retryAfterSeconds: RAIL_RETRY_SECONDS,
  });
}

/** x402's object, whole. Clients read it in the PAYMENT-REQUIRED header; bodies are made of its parts, so the two agree. */
function paymentRequired(
  options: RequiredOptions,
  asked: Asked,
  list: PaymentRequirements[],
  error: string,
) {
  const bazaar = options.bazaar?.of(new URL(asked.url).pathname);
  return {
    x402Version: 2,
    error,
    resource: { url: asked.url, description: asked.description, mimeType: 'application/json' },
    accepts: list,
    extensions: {
      'sign-in-with-x': options.siwx.challenge(asked.url),
      'payment-identifier': { info: { required: false } },
      ...(bazaar && { bazaar }),
    },
  };
}

function encoded(object: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(object)).toString('base64');
}

/** An unpaid top-up: the body holds exactly these two members, the header all of it. */
export function topUpRequired(options: RequiredOptions, asked: Asked): PaymentRequired {
  const list = accepts(options, asked.amount);
  const whole = paymentRequired(options, asked, list, 'Payment required');
  const error = new AppError('payment_required', 'Payment required');
  return new PaymentRequired(error, { x402Version: 2, accepts: list }, encoded(whole));
}

/** No credentials at all on a paid route; where nothing is configured to pay with, an API key is what is missing. */
export function credentialsRequired(
  options: RequiredOptions,
  asked: Asked,
  { origin, dialect }: { origin: string; dialect: Dialect },
): AppError {
  if (!options.payments.isOffered) {
    return new AppError('invalid_credential', 'Send an API key: Authorization: Bearer KEY.');
  }
  const message =
    'Payment required: pay for this request, sign in with a wallet that has a balance, or send an API key.';
  const whole = paymentRequired(options, asked, accepts(options, asked.amount), message);
  const docs = `${origin}/auth.md`;
  const authOptions = {
    apiKey: { header: 'Authorization: Bearer YOUR_API_KEY', getKey: docs, docs },
    x402Wallet: {
      header: 'SIGN-IN-WITH-X',
      legacyHeader: 'X-Sign-In-With-X',
      topUp: `POST ${origin}/api/v1/x402/top-up`,
      docs,
    },
  };
  const error = new AppError('payment_required', message);
  const said = isVenice(dialect) ? {} : errorMembers(dialect, message, 'payment_required');
  return new PaymentRequired(error, { ...whole, ...said, authOptions }, encoded(whole));
}

/** A wallet that is signed in and whose balance is too small: Venice's shape, with x402's object in the header. */
export function balanceRequired(
  options: RequiredOptions,
  asked: Asked,
  balance: Balance,
  dialect: Dialect,
): PaymentRequired {
  const { config, payments } = options;
  const list = payments.requirements(asked.amount);
  const available = subtractUsd(balance.posted, balance.held);
  const message = `Insufficient balance: $${formatUsd(available)} is available. Top up and try again.`;
  const challenge = options.siwx.challenge(asked.url);
  const facts = {
    reason: 'insufficient_balance',
    message,
    currentBalanceUsd: dollars(available),
    minimumBalanceUsd: dollars(config.minimumBalance),
    description: asked.description,
    suggestedTopUpUsd: dollars(config.suggestedTopUp),
    minimumTopUpUsd: dollars(config.minimumTopUp),
    supportedTokens: ['USDC'],
    supportedChains: list.map(({ network }) => chainName(network)),
    topUpInstructions: instructions(config, list),
    siwxChallenge: { info: challenge.info, supportedChains: challenge.supportedChains },
  };
  const whole = paymentRequired(options, asked, list, message);
  const body = isVenice(dialect)
    ? { error: 'Payment required', code: 'PAYMENT_REQUIRED', ...facts }
    : { ...whole, ...facts, ...errorMembers(dialect, message, 'insufficient_credits') };
  const error = new AppError('insufficient_balance', message);
  return new PaymentRequired(error, body, list.length ? encoded(whole) : null);
}

function isVenice(dialect: Dialect): boolean {
  return dialect === 'venice' || dialect === 'x402';
}

/** What says that it is an error, in the dialect's own words; x402's members stand beside it. */
function errorMembers(dialect: Dialect, message: string, code: string) {
  if (dialect !== 'anthropic') return { error: { message, type: 'gateway_error', code } };
  return { type: 'error', error: { type: 'billing_error', message, code } };
}

function instructions(config: PaymentsConfig, [first]: PaymentRequirements[]) {
  return {
    step1: 'POST /api/v1/x402/top-up with no payment header to get payment requirements.',
    step2: 'Choose one entry of accepts and sign a USDC payment for it with your wallet.',
    step3: 'POST /api/v1/x402/top-up with the signed PAYMENT-SIGNATURE header.',
    receiverWallet: first?.payTo ?? '',
    tokenAddress: first?.asset ?? '',
    tokenDecimals: 6,
    network: first?.network ?? '',
    minimumAmountUsd: dollars(config.minimumTopUp),
  };
}

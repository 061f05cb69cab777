/**
 * Client of a remote x402 facilitator, for every chain family. What it sends is built from configuration and signed fields alone;
 * nothing a client wrapped around its payment is passed on.
 */
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { FacilitatorConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { PaymentRequirements, SignedPayment } from './chain.ts';
import {
  type FacilitatorOutcome,
  readSettleAnswer,
  readVerifyAnswer,
} from './facilitator-answer.ts';
import { cdpSigner } from './facilitator-cdp.ts';

export type { FacilitatorOutcome } from './facilitator-answer.ts';

/** A settlement waits for a block, and some facilitators for several. */
const SETTLE_TIMEOUT_MS = 100_000;
const VERIFY_TIMEOUT_MS = 15_000;
const SUPPORTED_TIMEOUT_MS = 10_000;
const SUPPORTED_FRESH_MS = 5 * 60_000;
const MAX_ANSWER_BYTES = 64 * 1_024;
const MAX_KINDS = 500;
/** Identities remembered as handed on; payments also knows, from its rows. */
const MAX_ATTEMPTED = 10_000;

/** One line of /supported. */
export interface SupportedKind {
  x402Version: 1 | 2;
  scheme: string;
  /** CAIP-2 in version 2, a name in version 1. */
  network: string;
  extra: Record<string, unknown>;
}

export interface FacilitatorOptions {
  config: Extract<FacilitatorConfig, { kind: 'remote' }>;
  /** How x402 v1 calls the network, for facilitators that only speak v1 on it. */
  v1Name: string | null;
  log: Log;
  clock?: Clock;
  fetch?: typeof fetch;
  /** 100 s by default. */
  settleTimeoutMs?: number;
}

export interface SettleOptions {
  /** True when the same payment was handed on before, perhaps by an earlier process. */
  hasEarlierAttempt?: boolean;
  /** Ask /verify first: where no RPC of ours can tell a payer without funds from a transfer that failed. */
  verifyFirst?: boolean;
}

interface Answer {
  status: number;
  body: unknown;
}

export class Facilitator {
  readonly #base: string;
  readonly #options: FacilitatorOptions;
  readonly #clock: Clock;
  readonly #bearer: ((method: string, url: URL, nowMs: number) => string) | null;
  readonly #attempted = new Set<string>();
  #kinds: SupportedKind[] | null = null;
  #kindsAtMs = 0;

  /** Throws AppError('not_configured') for an address that is neither https nor loopback, or a CDP key that cannot be read. */
  constructor(options: FacilitatorOptions) {
    this.#options = options;
    this.#base = checkUrl(options.config.url);
    this.#clock = options.clock ?? systemClock;
    try {
      this.#bearer = options.config.cdp === null ? null : cdpSigner(options.config.cdp);
    } catch (error) {
      throw new AppError(
        'not_configured',
        error instanceof Error ? error.message : 'cdp_key_secret cannot be read',
      );
    }
  }

  /**
   * What it can settle, as asked within the last five minutes. While it does not answer, the last good list stands; throws
   * AppError('upstream_failed') when there is none. `isFresh` asks again.
   */
  async supported(options: { isFresh?: boolean } = {}): Promise<SupportedKind[]> {
    const age = this.#clock.nowMs() - this.#kindsAtMs;
    if (this.#kinds !== null && !options.isFresh && age < SUPPORTED_FRESH_MS) return this.#kinds;
    const kinds = await this.#askSupported();
    if (kinds !== null) {
      this.#kinds = kinds;
      this.#kindsAtMs = this.#clock.nowMs();
    }
    if (this.#kinds === null)
      throw new AppError('upstream_failed', 'the facilitator does not answer /supported');
    return this.#kinds;
  }

  /** Its line for an `exact` payment on a network: v2 where it has one, else v1; null when it cannot. */
  async kindFor(network: string): Promise<SupportedKind | null> {
    const kinds = (await this.supported()).filter((kind) => kind.scheme === 'exact');
    const v2 = kinds.find((kind) => kind.x402Version === 2 && kind.network === network);
    const v1 = kinds.find(
      (kind) => kind.x402Version === 1 && kind.network === this.#options.v1Name,
    );
    return v2 ?? v1 ?? null;
  }

  /** Whether this process handed the payment on and the outcome was anything but a refusal. */
  hasAttempted(payment: SignedPayment): boolean {
    return this.#attempted.has(keyOf(payment));
  }

  /** Has the payment settled. Bounded in time; never throws, never retries: a second try is the caller's, with the same payment. */
  async settle(
    payment: SignedPayment,
    requirements: PaymentRequirements,
    options: SettleOptions = {},
  ): Promise<FacilitatorOutcome> {
    const key = keyOf(payment);
    const hasEarlierAttempt = (options.hasEarlierAttempt ?? false) || this.#attempted.has(key);
    const body = await this.#encode(payment, requirements);
    if (options.verifyFirst) {
      const answer = await this.#post('verify', body, VERIFY_TIMEOUT_MS);
      if (typeof answer === 'string') return { kind: 'unknown', reason: answer, transaction: null };
      const verdict = readVerifyAnswer(answer.status, answer.body, hasEarlierAttempt);
      if (verdict !== 'valid' && !(verdict.kind === 'unknown' && hasEarlierAttempt)) return verdict;
    }
    this.#remember(key);
    const timeoutMs = this.#options.settleTimeoutMs ?? SETTLE_TIMEOUT_MS;
    const answer = await this.#post('settle', body, timeoutMs);
    if (typeof answer === 'string') return { kind: 'unknown', reason: answer, transaction: null };
    const outcome = readSettleAnswer(answer.status, answer.body, payment.family, hasEarlierAttempt);
    if (outcome.kind === 'refused') this.#attempted.delete(key);
    return outcome;
  }

  #remember(key: string): void {
    this.#attempted.add(key);
    if (this.#attempted.size <= MAX_ATTEMPTED) return;
    for (const oldest of this.#attempted) {
      this.#attempted.delete(oldest);
      return;
    }
  }

  async #encode(payment: SignedPayment, requirements: PaymentRequirements): Promise<string> {
    const kind = await this.kindFor(payment.network).catch(() => null);
    // Facilitators of version 2 demand that amount and signed value are equal; payTo may have been changed since it was signed.
    const { amount, payTo, asset } = payment;
    const exact = { ...requirements, amount: String(amount), payTo, asset };
    const { v1Name } = this.#options;
    if (kind?.x402Version === 1 && v1Name !== null)
      return JSON.stringify(encodeV1(payment, exact, v1Name));
    return JSON.stringify({
      x402Version: 2,
      paymentPayload: { x402Version: 2, accepted: exact, payload: payment.payload },
      paymentRequirements: exact,
    });
  }

  async #askSupported(): Promise<SupportedKind[] | null> {
    const answer = await this.#send('GET', 'supported', null, SUPPORTED_TIMEOUT_MS);
    const kinds =
      typeof answer === 'string' || answer.status !== 200 ? null : readKinds(answer.body);
    if (kinds === null) {
      const problem = typeof answer === 'string' ? answer : `status ${answer.status}`;
      this.#options.log.warn('facilitator_supported_failed', { problem });
    }
    return kinds;
  }

  async #post(
    call: 'verify' | 'settle',
    body: string,
    timeoutMs: number,
  ): Promise<Answer | string> {
    const answer = await this.#send('POST', call, body, timeoutMs);
    const problem =
      typeof answer === 'string' ? answer : answer.status >= 400 ? `status ${answer.status}` : null;
    if (problem !== null) this.#options.log.warn('facilitator_call_failed', { call, problem });
    return answer;
  }

  /** The answer, or the reason why there is none. A redirect is an error: it would carry the payment somewhere else. */
  async #send(
    method: 'GET' | 'POST',
    call: string,
    body: string | null,
    timeoutMs: number,
  ): Promise<Answer | string> {
    const url = new URL(`${this.#base}/${call}`);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (body !== null) headers['content-type'] = 'application/json';
    if (this.#bearer)
      headers['authorization'] = `Bearer ${this.#bearer(method, url, this.#clock.nowMs())}`;
    try {
      const response = await (this.#options.fetch ?? fetch)(url, {
        method,
        headers,
        body,
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: response.status, body: await readJson(response) };
    } catch (error) {
      return isTimeout(error) ? 'facilitator_timeout' : 'facilitator_unreachable';
    }
  }
}

function keyOf(payment: SignedPayment): string {
  return `${payment.network} ${payment.payer} ${payment.identity}`;
}

/** v1 wants a resource in every requirement; which one is of no consequence to a transfer. */
function encodeV1(
  payment: SignedPayment,
  requirements: PaymentRequirements,
  network: string,
): object {
  const { scheme, amount, asset, payTo, maxTimeoutSeconds, extra } = requirements;
  return {
    x402Version: 1,
    paymentPayload: { x402Version: 1, scheme, network, payload: payment.payload },
    paymentRequirements: {
      scheme,
      network,
      maxAmountRequired: amount,
      resource: 'https://farebox.invalid/x402/top-up',
      description: 'Prepaid credit',
      mimeType: 'application/json',
      asset,
      payTo,
      maxTimeoutSeconds,
      extra,
    },
  };
}

/** Reads at most 64 KiB; text that is no JSON is undefined. */
async function readJson(response: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function readKinds(body: unknown): SupportedKind[] | null {
  const kinds = isObject(body) ? body['kinds'] : undefined;
  if (!Array.isArray(kinds)) return null;
  return kinds.slice(0, MAX_KINDS).flatMap((kind: unknown) => {
    if (!isObject(kind)) return [];
    const { x402Version, scheme, network, extra } = kind;
    if (x402Version !== 1 && x402Version !== 2) return [];
    if (typeof scheme !== 'string' || typeof network !== 'string') return [];
    return [{ x402Version, scheme, network, extra: isObject(extra) ? extra : {} }];
  });
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLoopback = url !== null && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url?.protocol !== 'https:' && !(url?.protocol === 'http:' && isLoopback)) {
    throw new AppError(
      'not_configured',
      'facilitator must be an https URL; plain http only on loopback',
    );
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new AppError(
      'not_configured',
      'facilitator must be a plain URL without user, query or fragment',
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

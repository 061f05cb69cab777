/**
 * The path of one request for sound, speech or a transcription: read it, price the most that it can cost, hold that, try channels in
 * turn, charge what was delivered. The money is that of a chat (docs/money.md, "What is charged").
 */
import type { Catalogue } from '../catalogue.ts';
import type { Byok } from '../chat/byok.ts';
import { reserveFor } from '../chat/reserve.ts';
import { secretsOf } from '../chat/secrets.ts';
import { Settlement } from '../chat/settlement.ts';
import type { Clock } from '../clock.ts';
import type { MediaModel } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { groupsOf, type KeyRules } from '../keys/rules.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { NanoUsd } from '../money.ts';
import type { Asked } from '../orders/asked.ts';
import { type OrderPlan, planOrder } from '../orders/plan.ts';
import type { Quotes } from '../quotes.ts';
import type { Outcome } from '../routing/breaker.ts';
import type { CostDrift } from '../routing/drift.ts';
import { tryInTurn } from '../routing/in-turn.ts';
import type { Route, Routing } from '../routing/routing.ts';
import type { Upstream } from '../upstream.ts';
import type { OwnKeys } from '../vault.ts';
import type { AudioCall, AudioRequest } from './call.ts';

export interface AudioTools {
  ledger: Ledger;
  catalogue: Catalogue;
  routing: Routing;
  upstream: Upstream;
  quotes: Pick<Quotes, 'open'>;
  byok: Byok;
  /** Compares what upstreams report with what the operator wrote down. */
  drift?: CostDrift;
  clock: Clock;
  log: Log;
  /** What one credit is worth. */
  creditUsd: NanoUsd;
}

export interface AudioJob<Request extends AudioRequest> {
  call: AudioCall;
  request: Request;
  plan: OrderPlan;
  route: Route;
  /** What the caller pays for something of this price: the price, or the fee for a request over a key of its own. */
  toPay(price: NanoUsd): NanoUsd;
  settlement: Settlement;
  /** What must not be passed on, whatever the upstream echoes. */
  secrets: string[];
}

/** What is sold on a path. */
export interface AudioKind<Request extends AudioRequest> {
  type: 'tts' | 'stt';
  /** For people. */
  description: string;
  /** Whether requests need not name a model, even where none is the usual one. */
  needsNoModel?: true;
  /** Whether channels of this provider can be asked. */
  serves(provider: string): boolean;
  /** Errors: invalid_json, invalid_request, unsupported_parameter, unsupported_media_type. */
  read(body: Buffer, contentType: string | null): Request;
  /** The same of the beginning of a body of `wholeBytes`, never low; null where it does not tell. */
  peek(body: Buffer, wholeBytes: number): Request | null;
  /** What of it decides the price, never low. Errors: invalid_request for what this model does not offer. */
  asked(request: Request, model: MediaModel): Asked;
  /** Throws only while the caller has nothing of an answer; nothing is settled then. */
  attempt(job: AudioJob<Request>, tools: AudioTools): Promise<Outcome | 'unknown'>;
}

type Terms = Pick<AudioCall, 'contentType' | 'maxCredits' | 'quoteId'>;

const NO_RULES: readonly KeyRules[] = [];
/** The model of whoever names none. */
const DEFAULT_TRAIT = 'default';
/** A channel that can do it has to be set up first. */
const RETRY_AFTER_SECONDS = 60;

export class AudioPath<Request extends AudioRequest = AudioRequest> {
  readonly #tools: AudioTools;
  readonly kind: AudioKind<Request>;

  constructor(tools: AudioTools, kind: AudioKind<Request>) {
    this.#tools = tools;
    this.kind = kind;
  }

  /** Answers the call. Throws AppError only before `reply.head` was called; whatever was held is then given back. */
  async run(call: AudioCall): Promise<void> {
    const { byok, ledger, log, upstream } = this.#tools;
    const { principal, requestId, signal } = call;
    const rules = principal.kind === 'key' ? principal.rules : NO_RULES;
    const keys = await byok.keysOf(principal.accountId);
    const request = this.kind.read(call.body, call.contentType);
    const { plan, routes, toPay } = this.#prepare(request, call, rules, keys);
    const rate = await call.admit(principal, plan.entry.model, 0);
    const hold = await this.#reserve(call, plan, routes, toPay).catch((error: unknown) => {
      rate.settle(0);
      throw error;
    });
    const settlement = new Settlement({ ledger, log, rate }, hold, call.keep);
    try {
      if (signal.aborted) {
        throw new AppError('client_closed', 'The caller left before its request was sent on.');
      }
      const isBusy = (channel: Route['channel']) => upstream.isBusy(channel);
      await tryInTurn(routes, { requestId, signal, log, isBusy }, (route) => {
        const secrets = secretsOf(route.own?.keyed ?? route.channel);
        const job = { call, request, plan, route, toPay, settlement, secrets };
        return this.kind.attempt(job, this.#tools);
      });
    } catch (error) {
      // Nothing of any answer has gone out, so nothing is charged for what was tried.
      await settlement.finish(null);
      throw error;
    }
  }

  /** Throws what `run` would refuse in a request before it looks at any money. */
  check(body: Buffer, terms: Terms): void {
    this.#prepare(this.kind.read(body, terms.contentType), terms, NO_RULES, null);
  }

  /** What this very request may cost, for its 402; null where it cannot be priced. `wholeBytes`: see Offer. Never throws. */
  price(body: Buffer, wholeBytes?: number): { ceiling: NanoUsd; atLeast: NanoUsd } | null {
    try {
      const request = this.kind.peek(body, wholeBytes ?? body.length);
      if (!request) return null;
      const { ceiling } = this.#plan(request, { maxCredits: null, quoteId: null }, NO_RULES);
      return { ceiling, atLeast: ceiling };
    } catch {
      return null;
    }
  }

  #plan(
    request: Request,
    terms: Pick<Terms, 'maxCredits' | 'quoteId'>,
    rules: readonly KeyRules[],
  ): OrderPlan {
    const { type } = this.kind;
    const model = request.model ?? this.#usualModel();
    const quoteId = request.quoteId ?? terms.quoteId;
    const maxCredits = [request.maxCredits, terms.maxCredits];
    const asked = this.kind.asked(request, this.#tools.catalogue.mediaEntry(model, type).model);
    return planOrder(this.#tools, { model, types: [type], asked, quoteId, maxCredits }, rules);
  }

  /** `keys`: of the payer's own, to go over; null without any. */
  #prepare(request: Request, terms: Terms, rules: readonly KeyRules[], keys: OwnKeys | null) {
    const { routing, byok } = this.#tools;
    const plan = this.#plan(request, terms, rules);
    const { model } = plan.entry;
    const groups = groupsOf(rules);
    const own = keys && byok.chooseMedia(model, groups, keys);
    const all = own?.routes ?? routing.candidates(model, groups);
    const routes = all.filter(({ channel }) => this.kind.serves(channel.provider));
    if (!routes.length) throw noChannel(model.id);
    const toPay = own ? own.fee : (price: NanoUsd) => price;
    return { plan, routes, toPay };
  }

  #usualModel(): string {
    const { type } = this.kind;
    const serving = this.#tools.routing
      .channels()
      .filter(({ provider }) => this.kind.serves(provider))
      .map(({ id }) => id);
    const fit = this.#tools.catalogue
      .models()
      .filter((model) => model.type === type)
      .filter(({ routes }) => routes.some(({ channel }) => serving.includes(channel)));
    const usual = fit.find(({ traits }) => traits.includes(DEFAULT_TRAIT));
    const only = this.kind.needsNoModel ? fit[0] : undefined;
    const chosen = usual ?? only;
    if (chosen) return chosen.id;
    throw new AppError(
      'invalid_request',
      'The field "model" must be the name of a model, such as those of GET /v1/models.',
      { details: { field: 'model' } },
    );
  }

  #reserve(
    call: AudioCall,
    plan: OrderPlan,
    routes: readonly Route[],
    toPay: (price: NanoUsd) => NanoUsd,
  ) {
    const amount = toPay(plan.ceiling);
    return reserveFor(this.#tools.ledger, call, {
      purpose: this.kind.type,
      amount,
      atLeast: amount,
      model: plan.entry.model.id,
      priceVersion: plan.entry.price.version,
      routes,
    });
  }
}

function noChannel(model: string): AppError {
  return new AppError('no_channel', `No channel of the model ${model} does this.`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

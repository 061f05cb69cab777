/**
 * The path of one synchronous chat request: price the ceiling, hold it, pick a channel, pass the bytes, meter them, charge what was
 * used. See docs/money.md, "What is charged".
 */
import type { Catalogue, CatalogueEntry, TokenEntry } from '../catalogue.ts';
import type { TokenModel } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { groupsOf, mostPerRequest, requireModel, type KeyRules } from '../keys/rules.ts';
import type { Hold, Ledger } from '../ledger/ledger.ts';
import type { NanoUsd } from '../money.ts';
import type { ChatRequest } from '../providers/provider.ts';
import { tryInTurn } from '../routing/in-turn.ts';
import type { Route, Routing } from '../routing/routing.ts';
import { countAhead } from '../tokens.ts';
import type { OwnKeys } from '../vault.ts';
import { readCredits, requireAllowed, requireWithin } from './budget.ts';
import type { Byok } from './byok.ts';
import type { ChatCall } from './call.ts';
import type { Tools } from './job.ts';
import { quotedEntry, type Quotes } from '../quotes.ts';
import { requirePriced } from './media.ts';
import { limitWithin, mostTokens, type Plan, planPrefix, planRequest, quotedPlan } from './plan.ts';
import { CHAT, type Kind } from './kinds.ts';
import { invalidField, type ParsedRequest, peekRequest } from './request.ts';
import { reserveFor } from './reserve.ts';
import { secretsOf } from './secrets.ts';
import { Settlement } from './settlement.ts';
import { runStream } from './stream.ts';
import { runWhole } from './whole.ts';

export interface ChatOptions extends Tools {
  ledger: Ledger;
  catalogue: Catalogue;
  routing: Routing;
  quotes: Pick<Quotes, 'open'>;
  byok: Byok;
  /** What is sold on this path; chats by default. */
  kind?: Kind;
  /** What one credit is worth. */
  creditUsd: NanoUsd;
}

/** What headers say of money: the most that is approved, a quote. */
export type Terms = Pick<ChatCall, 'maxCredits' | 'quoteId'>;

export class Chat {
  readonly #options: ChatOptions;
  readonly kind: Kind;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.kind = options.kind ?? CHAT;
  }

  /** Answers the call. Throws AppError only before `reply.head` was called; whatever was held is then given back. */
  async run(call: ChatCall): Promise<void> {
    const { ledger, log, byok } = this.#options;
    const counting = countAhead(call.body, this.#options.catalogue.tokenizer);
    if (counting) await counting;
    const keys = await byok.keysOf(call.principal.accountId);
    const { parsed, routes, plan } = this.#prepare(call.body, call, rulesOf(call), keys);
    const rate = await call.admit(call.principal, plan.entry.model, mostTokens(plan));
    const hold = await this.#reserve(call, plan, routes).catch((error: unknown) => {
      rate.settle(0);
      throw error;
    });
    const settlement = new Settlement({ ledger, log, rate }, hold, call.keep);
    if (call.signal.aborted) {
      await settlement.finish(null);
      throw new AppError('client_closed', 'The caller left before its request was sent on.');
    }
    const request = withHeaders(parsed.request, call);
    const outputLimit = limitWithin(plan, hold.amount);
    try {
      const { requestId, signal } = call;
      const { upstream, routing } = this.#options;
      const isBusy = (channel: Route['channel']) => upstream.isBusy(channel);
      const near = this.#nearKey(call, plan, parsed, routes);
      const inOrder = routing.sticky.prefer(routes, near);
      const turn = { requestId, signal, log, isBusy };
      const served = await tryInTurn(inOrder, turn, (route) => {
        const provider = this.kind.provider(route.channel.provider);
        const secrets = secretsOf(route.own?.keyed ?? route.channel);
        const job = { call, request, plan, provider, route, outputLimit, settlement, secrets };
        return request.isStream ? runStream(job, this.#options) : runWhole(job, this.#options);
      });
      if (near !== null) routing.sticky.served(near, served.channel.id);
    } catch (error) {
      // Nothing of any answer has gone out, so nothing is charged for what was tried.
      await settlement.finish(null);
      throw error;
    }
  }

  /** What keeps requests of one beginning together; null where there is no choice, or nothing to gain. */
  #nearKey(
    { principal }: ChatCall,
    { entry }: Plan,
    { request }: ParsedRequest,
    routes: readonly Route[],
  ): string | null {
    if (routes.length < 2 || entry.model.type !== 'text') return null;
    return this.#options.routing.sticky.keyOf(principal.accountId, entry.model.id, request);
  }

  /** Throws what `run` would refuse in a request before it looks at any money. */
  check(body: Buffer, terms: Terms): void {
    this.#prepare(body, terms, NO_RULES, null);
  }

  /** `keys`: of the payer's own, to go over; null without any. */
  #prepare(body: Buffer, terms: Terms, rules: readonly KeyRules[], keys: OwnKeys | null) {
    const { catalogue, creditUsd, byok } = this.#options;
    const parsed = this.kind.parse(body);
    const quoteId = parsed.quoteId ?? terms.quoteId;
    const quoted = quoteId === null ? null : this.#options.quotes.open(quoteId);
    const listed = this.#ofKind(
      quoted
        ? quotedEntry(catalogue, parsed.request.model, quoted)
        : catalogue.entry(parsed.request.model),
    );
    requireModel(rules, listed.model);
    const groups = groupsOf(rules);
    requirePriced(parsed.media, listed);
    const { serves } = this.kind;
    const own = keys && byok.choose(listed, groups, keys);
    const entry = own?.entry ?? listed;
    const routes =
      own?.routes.filter(({ channel }) => serves(channel)) ??
      this.#candidates(listed.model, groups);
    if (!routes.length) throw invalidField('model', this.kind.unserved);
    const plan = quoted ? quotedPlan(parsed, entry, quoted) : planRequest(parsed, entry);
    const approved = [parsed.maxCredits, readCredits(terms.maxCredits, 'X-Max-Credits')];
    requireWithin(plan.ceiling, approved, creditUsd);
    requireAllowed(plan.ceiling, mostPerRequest(rules));
    return { parsed, routes, plan };
  }

  #candidates(model: TokenModel, groups: readonly string[]): readonly Route[] {
    const { routing } = this.#options;
    const { serves } = this.kind;
    try {
      return routing.candidates(model, groups, serves);
    } catch (error) {
      // What will never be served here is no matter of trying again.
      if (!routing.isServed(model, serves)) return [];
      throw error;
    }
  }

  /** How much input a request is counted as. Errors: as `check`, but for money. */
  inputTokens(body: Buffer): number {
    const parsed = this.kind.parse(body);
    const entry = this.#ofKind(this.#options.catalogue.entry(parsed.request.model));
    requirePriced(parsed.media, entry);
    return planRequest(parsed, entry).inputTokens;
  }

  /** What this very request may cost, for its 402; null where it cannot be priced. `wholeBytes`: see Offer. Never throws. */
  price(
    body: Buffer,
    wholeBytes?: number,
  ): { ceiling: NanoUsd; atLeast: NanoUsd; model: string } | null {
    try {
      const plan =
        wholeBytes === undefined ? this.#planWhole(body) : this.#planPrefix(body, wholeBytes);
      return plan && { ceiling: plan.ceiling, atLeast: plan.atLeast, model: plan.entry.model.id };
    } catch {
      return null;
    }
  }

  #planWhole(body: Buffer): Plan {
    const parsed = this.kind.parse(body);
    const { catalogue, quotes } = this.#options;
    const { model } = parsed.request;
    if (parsed.quoteId === null) return planRequest(parsed, this.#ofKind(catalogue.entry(model)));
    const quoted = quotes.open(parsed.quoteId);
    return quotedPlan(parsed, this.#ofKind(quotedEntry(catalogue, model, quoted)), quoted);
  }

  #planPrefix(body: Buffer, wholeBytes: number): Plan | null {
    const facts = peekRequest(body);
    const { catalogue } = this.#options;
    return (
      facts && planPrefix({ body, wholeBytes }, facts, this.#ofKind(catalogue.entry(facts.model)))
    );
  }

  #ofKind(entry: CatalogueEntry): TokenEntry {
    if (entry.kind === 'tokens' && entry.model.type === this.kind.type) return entry;
    throw invalidField('model', this.kind.refusal);
  }

  #reserve(call: ChatCall, plan: Plan, routes: readonly Route[]): Promise<Hold> {
    return reserveFor(this.#options.ledger, call, {
      purpose: 'chat',
      amount: plan.ceiling,
      atLeast: call.mode === 'refuse' ? plan.ceiling : plan.atLeast,
      model: plan.entry.model.id,
      priceVersion: plan.entry.price.version,
      routes,
    });
  }
}

function withHeaders(request: ChatRequest, { headers }: ChatCall): ChatRequest {
  return headers ? { ...request, headers } : request;
}

const NO_RULES: readonly KeyRules[] = [];

function rulesOf({ principal }: ChatCall): readonly KeyRules[] {
  return principal.kind === 'key' ? principal.rules : NO_RULES;
}

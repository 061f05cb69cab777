/**
 * Ten thousand requests of every type, to models with prices of every kind, whose upstreams stay inside of what was asked: each costs
 * no more than it held, holds no more than its estimate said, and under a quote costs what it would have, whatever prices become.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askedOf } from '../../src/audio/transcription.ts';
import { SPEECH } from '../../src/audio/speech.ts';
import { Catalogue, type MediaEntry, type TokenEntry } from '../../src/catalogue.ts';
import { chargeFor } from '../../src/chat/charge.ts';
import { CHAT, EMBEDDINGS, MESSAGES, RESPONSES } from '../../src/chat/kinds.ts';
import { requirePriced } from '../../src/chat/media.ts';
import { type Plan, planRequest, quotedPlan } from '../../src/chat/plan.ts';
import type { ParsedRequest } from '../../src/chat/request.ts';
import { type Estimate, estimate } from '../../src/estimate.ts';
import { type NanoUsd, nanoUsd, parseUsd } from '../../src/money.ts';
import { type Asked, readAsked } from '../../src/orders/asked.ts';
import { deliveredCost, type Measured } from '../../src/orders/order.ts';
import { type OrderPlan, planOrder } from '../../src/orders/plan.ts';
import { PriceLists } from '../../src/price-lists.ts';
import type { Usage } from '../../src/providers/provider.ts';
import { quotedEntry, Quotes } from '../../src/quotes.ts';
import { load } from '../support/config.ts';
import {
  askOf,
  measuredOf,
  fileWith,
  mediaModelOf,
  randomOf,
  type Random,
} from '../support/generated.ts';
import {
  type Dialect,
  priceOf,
  requestOf,
  tokenModelOf,
  usageOf,
} from '../support/generated-tokens.ts';
import type { DescribedModel } from '../support/media-model.ts';
import { testStore, type TestStore } from '../support/store.ts';

const MODELS = 500;
const REQUESTS_EACH = 20;
const HEARD = 'input_audio_token';
const CREDIT = parseUsd('0.01');
const KINDS = { chat: CHAT, responses: RESPONSES, messages: MESSAGES, embeddings: EMBEDDINGS };

/** One request, and what is to be known of it: in dollars, the hold and the cost are to be the same under a quote. */
interface Sample {
  what: string;
  fields: Record<string, unknown>;
  estimated: Estimate;
  hold: NanoUsd;
  cost: NanoUsd;
  quoted(quoteId: string): { hold: NanoUsd; cost: NanoUsd };
}

const random = randomOf(20_261_121);
const described = Array.from({ length: MODELS }, (_, n) =>
  random.chance(0.45) ? tokenModelOf(random, `m${n}`) : mediaModelOf(random, `m${n}`),
) as DescribedModel[];
let store: TestStore;
let catalogue: Catalogue;
let quotes: Quotes;
const samples: Sample[] = [];
const counted = new Map<string, number>();

beforeAll(async () => {
  store = await testStore();
  catalogue = new Catalogue(load(fileWith(...described)).models);
  const priceLists = new PriceLists({ ledger: store.ledger, catalogue, clock: store.clock });
  quotes = new Quotes({ priceLists, secret: store.secretFor('quotes'), clock: store.clock });
  for (const entry of catalogue.entries()) {
    for (let times = 0; times < REQUESTS_EACH; times++) {
      const sample = entry.kind === 'tokens' ? ofTokens(entry) : ofMedia(entry);
      samples.push(sample);
      counted.set(sample.what, (counted.get(sample.what) ?? 0) + 1);
    }
  }
});
afterAll(() => store[Symbol.asyncDispose]());

function ofTokens(entry: TokenEntry): Sample {
  const dialect: Dialect =
    entry.model.type === 'embedding'
      ? 'embeddings'
      : random.one(['chat', 'responses', 'messages'] as const);
  const fields = requestOf(random, dialect, entry);
  const request = KINDS[dialect].parse(Buffer.from(JSON.stringify(fields)));
  requirePriced(request.media, entry);
  const plan = planRequest(request, entry);
  const usage = usageOf(random, plan);
  const upstreamCostUsd = saidCost(entry.price.upstream !== undefined, random);
  const costOf = (under: Plan) => tokenCost(under, usage, upstreamCostUsd);
  return {
    what: dialect,
    fields,
    estimated: estimate(fields, catalogue, CREDIT),
    hold: plan.ceiling,
    cost: costOf(plan),
    quoted: (quoteId) => {
      const under = quotedTokens(request, quoteId);
      return { hold: under.ceiling, cost: costOf(under) };
    },
  };
}

function tokenCost(plan: Plan, usage: Usage, upstreamCostUsd: string | null): NanoUsd {
  const seen = { usage, outputBytes: 5, isComplete: true, error: null, upstreamCostUsd };
  // A hold without bounds, so that nothing is cut off that was to be seen.
  const held = nanoUsd(Number.MAX_SAFE_INTEGER);
  return chargeFor(plan, 'ended', seen, plan.outputLimit, held)!.cost;
}

function quotedTokens(request: ParsedRequest, quoteId: string): Plan {
  const quoted = quotes.open(quoteId);
  const entry = quotedEntry(catalogue, request.request.model, quoted);
  return quotedPlan(request, entry as TokenEntry, quoted);
}

function ofMedia(entry: MediaEntry): Sample {
  const { type, id } = entry.model;
  const { fields, asked } = bodyOf(askOf(random, entry), entry);
  const body = { model: id, ...fields };
  const plan = (quoteId: string | null): OrderPlan =>
    planOrder(
      { catalogue, quotes, creditUsd: CREDIT },
      { model: id, types: [type], asked, quoteId, maxCredits: [] },
      [],
    );
  const free = plan(null);
  const measured: Measured = measuredOf(random, entry, free.order);
  const costOf = ({ entry: priced, order, most }: OrderPlan) => {
    const { amount } = deliveredCost(priced, order, measured);
    return most !== null && amount > most ? most : amount;
  };
  return {
    what: type,
    fields: body,
    estimated: estimate(body, catalogue, CREDIT),
    hold: free.ceiling,
    cost: costOf(free),
    quoted: (quoteId) => {
      const under = plan(quoteId);
      return { hold: under.ceiling, cost: costOf(under) };
    },
  };
}

/** As its route would read it; `fields` is what an estimate is given. */
function bodyOf(wanted: Asked, { model }: MediaEntry): { fields: object; asked: Asked } {
  const { input_mode: mode, input_images: images, input_seconds: seconds, ...rest } = wanted;
  if (model.type === 'stt') {
    const length = { seconds: seconds!, mostSeconds: seconds!, isCounted: true };
    const recording = { length, prompt: random.chance(0.3) ? 'Names: Ada, Grace.' : null };
    const asked = askedOf(recording as Parameters<typeof askedOf>[0], model);
    return {
      fields: { input_seconds: seconds!, ...(recording.prompt && { prompt: recording.prompt }) },
      asked,
    };
  }
  const { characters = 0, ...others } = rest;
  if (model.type === 'tts') {
    const { n: _, audio: __, ...speech } = others;
    const fields = { model: model.id, voice: 'x', input: 'ä'.repeat(characters), ...speech };
    const spoken = SPEECH.read(Buffer.from(JSON.stringify(fields)), null);
    return { fields, asked: SPEECH.asked(spoken, model) };
  }
  const image = Array.from({ length: images ?? 0 }, (_, n) => `https://example.com/${n}.png`);
  const fields = {
    ...others,
    prompt: 'a fox '.repeat(random.whole(1, 90)),
    ...(mode === 'image' ? { image } : mode !== undefined && { input_mode: mode }),
  };
  return { fields, asked: readAsked(model.type, fields) };
}

/** At most 0.75 dollars, marked up by a fifth. */
function saidCost(isAsked: boolean, { chance, whole }: Random): string | null {
  return isAsked && chance(0.7) ? `0.${String(whole(0, 625_000)).padStart(6, '0')}` : null;
}

describe(`${MODELS * REQUESTS_EACH} generated requests`, () => {
  it('are of every type, and differ', () => {
    expect(samples).toHaveLength(10_000);
    expect(counted.size).toBe(13);
    for (const [what, count] of counted) expect([what, count > 150]).toEqual([what, true]);
    expect(new Set(samples.map(({ hold }) => hold)).size).toBeGreaterThan(5_000);
    expect(samples.filter(({ cost, hold }) => cost < hold).length).toBeGreaterThan(5_000);
    console.log(Object.fromEntries(counted));
  });

  it('cost at most what they hold, which is at most what their estimate says', () => {
    for (const { what, hold, cost, fields, estimated } of samples) {
      const { min, expected, max } = estimated;
      const isRight = cost <= hold && hold <= max && min <= expected && expected <= max;
      if (!isRight) expect.fail(told(what, { cost, hold, min, expected, max, fields }));
    }
  });

  it('hold and cost the same under their quotes, though every price has changed', async () => {
    const ids: string[] = [];
    for (const { estimated } of samples) {
      ids.push((await quotes.make(estimated.quoted, estimated.entry)).id);
    }
    catalogue.replace(load(fileWith(...described.map(dearer))).models);
    let changed = 0;
    for (const [n, sample] of samples.entries()) {
      const { what, fields, estimated } = sample;
      if (estimate(fields, catalogue, CREDIT).max !== estimated.max) changed++;
      const { hold, cost } = sample.quoted(ids[n]!);
      const isRight = cost === sample.cost && cost <= hold && hold <= estimated.max;
      if (!isRight) expect.fail(told(what, { hold, cost, before: sample.cost, fields }));
    }
    expect(changed).toBeGreaterThan(9_500);
  });
});

function told(what: string, facts: object): string {
  return `${what} ${JSON.stringify(facts).slice(0, 2_000)}`;
}

function dearer(model: DescribedModel): DescribedModel {
  const type = model.type as string;
  if (type !== 'text' && type !== 'embedding') {
    return { ...model, price: { ...model.price, markup: '3.3' } };
  }
  const price: { rules?: object[] } = priceOf(random, type);
  // What is heard is sold as before.
  const others = price.rules?.filter((rule) => !('unit' in rule && rule.unit === HEARD));
  if (others) price.rules = [...others, { unit: HEARD, usd: '1' }];
  return { ...model, price };
}

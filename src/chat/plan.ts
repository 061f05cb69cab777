/** What one request may cost, and what of it a smaller hold still covers. */
import type { TokenEntry } from '../catalogue.ts';
import type { NanoUsd } from '../money.ts';
import { affordableOutput, ceilingOf, type InputKinds } from '../pricing/tokens.ts';
import type { ChatRequest } from '../providers/provider.ts';
import { type Quoted, wrong } from '../quotes.ts';
import { estimateText, inputTokens, prefixTokens } from '../tokens.ts';
import { type Media, noMedia } from './media.ts';
import { mayCacheLong, type ParsedRequest } from './request.ts';

export interface Plan {
  entry: TokenEntry;
  /** Never low. */
  inputTokens: number;
  kinds: InputKinds;
  /** Per choice: the caller's or the model's default, at most the model's greatest. */
  outputLimit: number;
  choices: number;
  ceiling: NanoUsd;
  /** The smallest hold that still serves: the input and half of the output. */
  atLeast: NanoUsd;
  /** What a quote promised: it costs no more, whatever is used; null without one. */
  most: NanoUsd | null;
}

export type Facts = Pick<ChatRequest, 'outputLimit' | 'n' | 'leastOutput'>;

export function planRequest({ request, media }: ParsedRequest, entry: TokenEntry): Plan {
  return planText(plainBody(request), { request, media }, entry);
}

/** Larger ones are counted as they came, before, and in slices. */
const MOST_PLAIN_BYTES = 262_144;

/** What writers of JSON do that JSON.stringify does not: escapes of letters and slashes, whole numbers with a fraction. */
const BACKSLASH = 0x5c;
const ESCAPES = ['\\u', '\\/'];
const FRACTIONS = ['.0,', '.0}', '.0]'];

/** One cheap search for what few bodies have spares the others. */
function isUnusual(body: Buffer): boolean {
  const has = (signs: string) => body.includes(signs, 0, 'latin1');
  return (body.includes(BACKSLASH) && ESCAPES.some(has)) || (has('.0') && FRACTIONS.some(has));
}

/** What an estimate of the same request counts, whoever wrote the JSON. */
function plainBody({ body, members }: ChatRequest): Buffer {
  if (body.length > MOST_PLAIN_BYTES) return body;
  const isOther =
    isSpaced(body, members) || isUnusual(body) || OWN_FIELDS.some((name) => members.has(name));
  return isOther ? canonicalBody(body) : body;
}

const COLON = 0x3a;

function isSpaced(body: Buffer, members: ChatRequest['members']): boolean {
  const [first] = members.values();
  return first !== undefined && body[first[1] - 1] !== COLON;
}

function planText(
  body: Buffer,
  { request, media }: Pick<ParsedRequest, 'request' | 'media'>,
  entry: TokenEntry,
): Plan {
  const text = estimateText(body, entry.tokenizer);
  const counted = inputTokens(text, media, entry.model.imageTokens);
  // Whatever it is, the model reads no more than its context.
  const input = media.isUnbounded ? Math.max(counted, entry.model.context) : counted;
  const isSame = body === request.body;
  const kinds = kindsOf(isSame ? media : { ...media, mayCacheLong: mayCacheLong(body) }, input);
  return plan(entry, request, { input, kinds });
}

function kindsOf(media: Media, input: number): InputKinds {
  const { isUnbounded, soundAt, videoAt, mayCacheLong } = media;
  const isAllSound = isUnbounded && (soundAt ?? videoAt) !== null;
  return { audioTokens: isAllSound ? input : media.audioTokens, mayCacheLong };
}

/** The unread part of a body is taken to be like what was read, and a little dearer. */
const UNREAD_MARGIN = 1.1;

/** From the first bytes and the length of all: what looks like an image counts as one. */
export function planPrefix(
  { body, wholeBytes }: { body: Buffer; wholeBytes: number },
  facts: Facts,
  entry: TokenEntry,
): Plan {
  const read = prefixTokens(estimateText(body, entry.tokenizer), entry.model.imageTokens);
  const unread = Math.max(0, wholeBytes - body.length);
  const rest = Math.ceil(((read * unread) / Math.max(1, body.length)) * UNREAD_MARGIN);
  const input = read + rest;
  return plan(entry, facts, { input, kinds: kindsOf(noMedia(), input) });
}

function plan(
  entry: TokenEntry,
  facts: Facts,
  { input, kinds }: { input: number; kinds: InputKinds },
): Plan {
  const { model, price } = entry;
  const outputLimit = Math.min(facts.outputLimit ?? model.defaultOutput, model.maxOutput);
  const cost = (limit: number) => ceilingOf(price, input, limit * facts.n, kinds);
  const least = Math.min(outputLimit, facts.leastOutput ?? 1);
  return {
    entry,
    inputTokens: input,
    kinds,
    outputLimit,
    choices: facts.n,
    ceiling: cost(outputLimit),
    atLeast: cost(Math.max(least, Math.ceil(outputLimit / 2))),
    most: null,
  };
}

/** Fields that say something to Farebox alone. */
const OWN_FIELDS = ['max_credits', 'quote_id', 'callback_url', 'modality', 'input_tokens'];

/** A request as it is counted for a quote and under it: the same however its JSON is spaced, without what is for Farebox alone. */
export function canonicalBody(body: Buffer): Buffer {
  const fields = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  const others = Object.entries(fields).filter(([name]) => !OWN_FIELDS.includes(name));
  return Buffer.from(JSON.stringify(Object.fromEntries(others)));
}

/** A plan under a quote, which binds both: the request is no larger, and costs no more. Errors: invalid_request. */
export function quotedPlan(parsed: ParsedRequest, entry: TokenEntry, quoted: Quoted): Plan {
  if (quoted.kind !== 'tokens') throw wrong('is not for tokens: estimate this request');
  const { body } = parsed.request;
  const isLarge = body.length > MOST_PLAIN_BYTES;
  const plan = planText(isLarge ? body : canonicalBody(body), parsed, entry);
  if (
    plan.inputTokens > quoted.inputTokens ||
    plan.outputLimit * plan.choices > quoted.outputTokens
  ) {
    const { inputTokens, outputTokens } = quoted;
    throw wrong(
      `is for ${inputTokens} input and ${outputTokens} output tokens, and this request is larger: estimate it with its messages`,
    );
  }
  const { audioTokens, mayCacheLong } = plan.kinds;
  if ((audioTokens > 0 || mayCacheLong) && plan.ceiling > quoted.max) {
    throw wrong('is for text, and this request costs more: estimate it with all that is in it');
  }
  const within = (amount: NanoUsd) => (amount < quoted.max ? amount : quoted.max);
  return {
    ...plan,
    ceiling: within(plan.ceiling),
    atLeast: within(plan.atLeast),
    most: quoted.max,
  };
}

/** The output limit that a hold of this amount, between `atLeast` and the ceiling, covers for every choice. */
export function limitWithin(plan: Plan, granted: NanoUsd): number {
  if (granted >= plan.ceiling) return plan.outputLimit;
  const tokens = affordableOutput(plan.entry.price, plan.inputTokens, granted, plan.kinds);
  return Math.max(1, Math.min(plan.outputLimit, Math.floor(tokens / plan.choices)));
}

/** Of input and output, at most. */
export function mostTokens({ inputTokens: input, outputLimit, choices }: Plan): number {
  return input + outputLimit * choices;
}

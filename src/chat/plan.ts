/** What one request may cost, and what of it a smaller hold still covers. */
import type { CatalogueEntry } from '../catalogue.ts';
import type { NanoUsd } from '../money.ts';
import { affordableOutput, ceilingOf } from '../pricing/tokens.ts';
import type { ChatRequest } from '../providers/provider.ts';
import { estimateText, inputTokens } from '../tokens.ts';
import type { ParsedRequest } from './request.ts';

export interface Plan {
  entry: CatalogueEntry;
  /** Never low. */
  inputTokens: number;
  /** Per choice: the caller's or the model's default, at most the model's greatest. */
  outputLimit: number;
  choices: number;
  ceiling: NanoUsd;
  /** The smallest hold that still serves: the input and half of the output. */
  atLeast: NanoUsd;
}

export type Facts = Pick<ChatRequest, 'outputLimit' | 'n'>;

export function planRequest({ request, media }: ParsedRequest, entry: CatalogueEntry): Plan {
  const text = estimateText(request.body);
  return plan(entry, request, inputTokens(text, media.images, media.imageBytes));
}

/** From the first bytes alone: what looks like an image counts as one. */
export function planPrefix(body: Buffer, facts: Facts, entry: CatalogueEntry): Plan {
  const text = estimateText(body);
  return plan(entry, facts, inputTokens(text, text.dataRuns, text.dataBytes));
}

function plan(entry: CatalogueEntry, facts: Facts, input: number): Plan {
  const { model, price } = entry;
  const outputLimit = Math.min(facts.outputLimit ?? model.defaultOutput, model.maxOutput);
  const cost = (limit: number) => ceilingOf(price, input, limit * facts.n);
  return {
    entry,
    inputTokens: input,
    outputLimit,
    choices: facts.n,
    ceiling: cost(outputLimit),
    atLeast: cost(Math.ceil(outputLimit / 2)),
  };
}

/** The output limit that a hold of this amount, between `atLeast` and the ceiling, covers for every choice. */
export function limitWithin(plan: Plan, granted: NanoUsd): number {
  if (granted >= plan.ceiling) return plan.outputLimit;
  const tokens = affordableOutput(plan.entry.price, plan.inputTokens, granted);
  return Math.max(1, Math.min(plan.outputLimit, Math.floor(tokens / plan.choices)));
}

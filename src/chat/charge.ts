/** What an answer costs its caller, by what arrived of it: the table "What is charged" of docs/money.md. */
import { type NanoUsd, nanoUsd } from '../money.ts';
import { type Outlay, outlayFields } from '../pricing/outlay.ts';
import { priceOfAnswer } from '../pricing/tokens.ts';
import type { Measured, Usage } from '../providers/provider.ts';
import { outputTokensOf } from '../tokens.ts';
import type { Plan } from './plan.ts';
import type { Bill } from './settlement.ts';

export interface Charge {
  cost: NanoUsd;
  usage: Usage;
  /** Whether a count was not reported, or not believable, and was estimated from the text. */
  isEstimated: boolean;
  /** The vendor, where the request went over its owner's own key: then it cost the fee instead of the price. */
  byok?: string;
  /** Which way it went, and what that cost the operator. */
  channel: string;
  outlay: Outlay;
}

/** Why no more of the answer is coming: it ended by itself, it broke, or the caller is gone and the upstream was cut off. */
export type Ending = 'ended' | 'broken' | 'left';

/** Null where nothing is charged: the answer failed before any of it was there. */
export function chargeFor(
  plan: Plan,
  ending: Ending,
  seen: Measured,
  outputLimit: number,
  held: NanoUsd,
): Omit<Charge, 'channel' | 'outlay'> | null {
  const hasOutput = seen.outputBytes > 0;
  const isWhole = ending === 'ended' && seen.isComplete && seen.error === null;
  const isLeft = ending === 'left' && seen.error === null;
  if (!hasOutput && !isWhole && !isLeft) return null;
  const { usage, isEstimated } = believable(plan, seen, outputLimit);
  const priced = priceOfAnswer(plan.entry.price, {
    usage,
    upstreamCostUsd: seen.upstreamCostUsd ?? null,
    heldTokens: plan.inputTokens + outputLimit * plan.choices,
  });
  const cost = plan.most !== null && plan.most < priced ? plan.most : priced;
  // An estimate is our word alone, so it never costs the operator's shortfall either.
  return { cost: isEstimated ? nanoUsd(Math.min(cost, held)) : cost, usage, isEstimated };
}

function believable(
  plan: Plan,
  seen: Measured,
  outputLimit: number,
): { usage: Usage; isEstimated: boolean } {
  const { model } = plan.entry;
  const reported = seen.usage;
  const mostInput = Math.max(model.context, plan.inputTokens);
  const mostOutput = Math.max(model.maxOutput, outputLimit) * plan.choices;
  const estimatedOutput = Math.min(outputTokensOf(seen.outputBytes), outputLimit * plan.choices);
  const inputTokens = Math.min(reported?.inputTokens || plan.inputTokens, mostInput);
  const outputTokens = Math.min(reported?.outputTokens || estimatedOutput, mostOutput);
  const isEstimated =
    !reported ||
    reported.inputTokens === 0 ||
    (reported.outputTokens === 0 && seen.outputBytes > 0);
  return {
    usage: {
      inputTokens,
      outputTokens,
      cachedInputTokens: reported?.cachedInputTokens ?? 0,
      cacheWriteTokens: reported?.cacheWriteTokens ?? 0,
      ...(reported?.longCacheWriteTokens && {
        longCacheWriteTokens: reported.longCacheWriteTokens,
      }),
      ...(reported?.inputAudioTokens && { inputAudioTokens: reported.inputAudioTokens }),
      reasoningTokens: reported?.reasoningTokens ?? 0,
    },
    isEstimated,
  };
}

export function billOf(charge: Charge): Bill {
  const { inputTokens, outputTokens } = charge.usage;
  return { cost: charge.cost, tokens: inputTokens + outputTokens, usage: usageJson(charge) };
}

/** The usage as the hold's row keeps it. */
function usageJson({ usage, isEstimated, byok, channel, outlay }: Charge): string {
  return JSON.stringify({
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    ...(usage.cachedInputTokens && { cached_input_tokens: usage.cachedInputTokens }),
    ...(usage.cacheWriteTokens && { cache_write_tokens: usage.cacheWriteTokens }),
    ...(usage.longCacheWriteTokens && { cache_write_1h_tokens: usage.longCacheWriteTokens }),
    ...(usage.inputAudioTokens && { input_audio_tokens: usage.inputAudioTokens }),
    ...(usage.reasoningTokens && { reasoning_tokens: usage.reasoningTokens }),
    ...(isEstimated && { estimated: true }),
    ...(byok !== undefined && { byok }),
    ...outlayFields(channel, outlay),
  });
}

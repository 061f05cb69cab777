/** OpenAI's embeddings, for any server that speaks its dialect. The caller's bytes pass as they are, but for the model's name. */
import { AppError } from '../errors.ts';
import { errorOf, isFields, usageOf } from './openai-usage.ts';
import { openAiRequest } from './openai.ts';
import type { AnswerFacts, Measured, Provider } from './provider.ts';
import { costOf, errorStatusOf } from './reported.ts';

export const openaiEmbeddings: Provider = {
  name: 'openai',
  chat: (channel, request, edits) =>
    openAiRequest(channel, request, { path: '/embeddings', upstreamModel: edits.upstreamModel }),
  readChat: readEmbeddings,
  meter: () => {
    throw new AppError('internal', 'embeddings are not streamed');
  },
};

/** Null for what is no answer: not JSON, or neither embeddings nor an error in it. What it costs is its input alone. */
function readEmbeddings(body: Buffer, { reportedCost }: AnswerFacts): Measured | null {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  if (!isFields(answer)) return null;
  const error = errorOf(answer);
  const { data } = answer;
  const isComplete = Array.isArray(data) && data.length > 0;
  if (!isComplete && error === null) return null;
  return {
    usage: usageOf(answer),
    outputBytes: 0,
    isComplete,
    error,
    errorStatus: errorStatusOf(answer),
    upstreamCostUsd: costOf(answer, reportedCost),
  };
}

export const veniceEmbeddings: Provider = { ...openaiEmbeddings, name: 'venice' };

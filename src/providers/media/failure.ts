/** How upstreams say no: an answer in their words, as one of our failures. */
import type { Failed, MediaAnswer, MediaHttp } from '../media.ts';
import { at, isFields, textOf } from './read.ts';

/** Words of those who moderate; upstreams share no code for it. */
const MODERATED =
  /moderat|content.?policy|policy.?violation|safety|sensitive|nsfw|prohibited|inappropriate|censor|respect_moderation|flagged|copyright|blocked by|public.?figure|real.?people|risk.?control/i;
const PLACES: readonly (readonly (string | number)[])[] = [
  ['error', 'message'],
  ['error', 'detail'],
  ['error'],
  ['message'],
  ['detail', 'message'],
  ['detail', 0, 'msg'],
  ['detail'],
  ['failure_reason'],
  ['failure'],
  ['msg'],
  ['base_resp', 'status_msg'],
  ['title'],
];
const CODES: readonly (readonly string[])[] = [
  ['error', 'code'],
  ['error', 'type'],
  ['code'],
  ['detail', 'status'],
  ['detail', 'code'],
  ['failureCode'],
];

/** Whether these words are about what may be shown, not about how it was asked for. */
export function isModeration(...words: unknown[]): boolean {
  return words.some((word) => typeof word === 'string' && MODERATED.test(word));
}

/** A 4xx to a submit: the request's content is at fault. 404: the model is not there, which another channel may have. */
export function refusal(answer: MediaAnswer, http: MediaHttp): Failed {
  const { message, code } = wordsOf(parsed(answer));
  return {
    state: 'failed',
    failure: isModeration(message, code) ? 'moderated' : 'refused',
    message: http.clean(message ?? '') || 'The upstream refused the request.',
    isRetryable: answer.status === 404,
  };
}

/** A job that ended without a result; `from` is what the upstream says of it. */
export function failure(
  from: unknown,
  http: MediaHttp,
  kind: Failed['failure'] = 'failed',
): Failed {
  const { message, code } = typeof from === 'string' ? { message: from } : wordsOf(from);
  const isModerated = kind === 'failed' && isModeration(message, code);
  const usual = kind === 'failed' ? 'The upstream failed to make it.' : `It ${ENDED[kind]}.`;
  return {
    state: 'failed',
    failure: isModerated ? 'moderated' : kind,
    message: http.clean(message ?? '') || usual,
    isRetryable: false,
  };
}

const ENDED: Record<Failed['failure'], string> = {
  refused: 'was refused by the upstream',
  moderated: 'was not allowed by the upstream',
  failed: 'failed',
  expired: 'expired at the upstream',
  cancelled: 'was cancelled at the upstream',
};

interface Words {
  message?: string | undefined;
  code?: string | undefined;
}

/** The text and the code that an error is told with, wherever it stands. */
export function wordsOf(value: unknown): Words {
  if (!isFields(value)) return { message: textOf(value) };
  const first = (places: readonly (readonly (string | number)[])[]) =>
    places.map((place) => textOf(at(value, ...place))).find((text) => text !== undefined);
  return { message: first(PLACES), code: first(CODES) };
}

function parsed({ body }: MediaAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Reading the answers of upstreams that are described in the settings. */
import type { TaskHttp } from '../../config/task-http.ts';
import { AppError } from '../../errors.ts';
import type { Asset, Fields, MediaHttp, MediaJob, Polled, Started } from '../media.ts';
import { failure, isModeration, wordsOf } from './failure.ts';
import { polled } from './polled.ts';
import {
  amountOf,
  assetOf,
  base64Of,
  garbled,
  measured,
  progressOf,
  textOf,
  usdOf,
} from './read.ts';
import { type Known, stateOf } from './states.ts';
import { valuesAt } from './template.ts';

const HEX = /^(?:[0-9a-f]{2})+$/i;

export interface CodedError {
  code: unknown;
  message: string | undefined;
  kind: 'busy' | 'ours' | 'other';
}

/** An error inside a good status. */
export function errorIn(answer: Fields, { error }: TaskHttp): CodedError | null {
  if (error?.code === undefined) return null;
  const [code] = valuesAt(answer, error.code);
  const has = (list: readonly unknown[] = []) => list.some((item) => String(item) === String(code));
  if (code === undefined || has(error.ok ?? [0, 200, 'success'])) return null;
  const kind = has(error.busy) ? 'busy' : has(error.ours) ? 'ours' : 'other';
  return { code, message: messageIn(answer, error.message), kind };
}

function messageIn(answer: Fields, places: readonly string[] = []): string | undefined {
  const found = places.flatMap((place) => valuesAt(answer, place)).find((text) => textOf(text));
  return textOf(found) ?? wordsOf(answer).message;
}

export function refused(error: CodedError, told: Fields, http: MediaHttp): Started {
  if (error.kind !== 'other') throw troubled(error);
  const isModerated = isModeration(error.message, error.code);
  const { message } = failure(error.message ?? told, http, 'refused');
  return {
    state: 'failed',
    failure: isModerated ? 'moderated' : 'refused',
    message,
    isRetryable: false,
  };
}

export function troubled({ kind }: CodedError): AppError {
  if (kind === 'busy') {
    return new AppError('upstream_busy', 'The model is busy. Try again shortly.', {
      retryAfterSeconds: 5,
    });
  }
  if (kind === 'other') return garbled('answered with an error');
  return new AppError('upstream_failed', 'The upstream refused us.', {
    details: { isSent: false },
  });
}

/** The description's own words first, then the usual ones. */
export function knownOf(word: unknown, { states = {} }: TaskHttp): Known | undefined {
  const wanted = String(word).toLowerCase();
  const own = Object.entries(states).find(([name]) => name.toLowerCase() === wanted);
  return own?.[1] ?? stateOf(word);
}

export interface Reading {
  job: MediaJob;
  http: MediaHttp;
  spec: TaskHttp;
  /** Where figures stand, when it is not the answer with the links. */
  measuredIn?: Fields;
}

export function resultIn(
  told: Fields,
  { job, http, spec, measuredIn = told }: Reading,
  known: Known | undefined,
  word?: unknown,
): Polled {
  const { urls = [], base64 = [], hex = [], content_type: type } = spec.result;
  const assets: Asset[] = [
    ...urls.flatMap((place) => valuesAt(told, place)).flatMap((url) => assetOf(url, type) ?? []),
    ...bytesIn(told, base64, base64Of, type),
    ...bytesIn(told, hex, hexOf, type),
  ];
  const [progress] = spec.progress === undefined ? [] : valuesAt(told, spec.progress);
  const [cost] = spec.cost_usd === undefined ? [] : valuesAt(measuredIn, spec.cost_usd);
  const units = Object.entries(spec.measured ?? {}).map(
    ([unit, place]) => [unit, sumAt(measuredIn, place)] as const,
  );
  return polled(
    {
      word,
      known,
      ...progressOf(progress, spec.progress_of === 1),
      assets,
      measured: measured(job, assets.length, Object.fromEntries(units), usdOf(cost)),
      error: complaintIn(told, spec, known),
    },
    http,
  );
}

/** Answers that have a code for it say "success" where others say what went wrong. */
function complaintIn(told: Fields, spec: TaskHttp, known: Known | undefined): string | undefined {
  const places = spec.error?.message ?? ['/error/message', '/error'];
  const found = places.flatMap((place) => valuesAt(told, place)).find((text) => textOf(text));
  const isFine = spec.error?.code !== undefined && errorIn(told, spec) === null;
  const isOpen = known === undefined || known === 'pending' || known === 'processing';
  return isFine && (isOpen || known === 'completed') ? undefined : textOf(found);
}

function bytesIn(
  told: Fields,
  places: readonly string[],
  read: (value: unknown) => Buffer | undefined,
  contentType: string | undefined,
): Asset[] {
  return places
    .flatMap((place) => valuesAt(told, place))
    .flatMap((value) => {
      const bytes = read(value);
      return bytes ? [{ bytes, ...(contentType !== undefined && { contentType }) }] : [];
    });
}

function hexOf(value: unknown): Buffer | undefined {
  return typeof value === 'string' && HEX.test(value) ? Buffer.from(value, 'hex') : undefined;
}

/** Of several values, such as the lengths of two songs, their sum. */
function sumAt(told: Fields, place: string | { at: string; times: number }): number | undefined {
  const { at: pointer, times } = typeof place === 'string' ? { at: place, times: 1 } : place;
  const values = valuesAt(told, pointer).flatMap((value) => amountOf(value) ?? []);
  if (values.length === 0) return undefined;
  return values.reduce((sum, value) => sum + value, 0) * times;
}

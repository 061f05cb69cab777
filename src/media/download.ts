/** Copies what an upstream's link leads to into a spool file: through the guarded way out, resumed where it broke off. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Outbound, type OutboundAnswer, RefusedUrl } from '../outbound.ts';
import { badResult, type SpoolFile } from './spool.ts';

const ATTEMPTS = 4;
const PAUSE_MS = 500;
/** Of silence. */
const IDLE_MS = 30_000;

export interface Download {
  url: string;
  headers: Record<string, string>;
  /** The origin of the channel. */
  trusted: string;
  /** For all attempts together. */
  deadlineMs: number;
  /** Before the second attempt; twice as long before each later one. */
  pauseMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What a second attempt may go on with: the file is the same as long as this is. */
type Validator = string | null;

/**
 * Answers the content type that the server says, '' for none. Throws upstream_failed with details.reason `too_large`, `dead_link`,
 * `refused` or `unreachable`; unavailable where there is no room.
 */
export async function download(
  outbound: Outbound,
  { url, headers, trusted, deadlineMs, pauseMs = PAUSE_MS, signal }: Download,
  file: SpoolFile,
): Promise<string> {
  const endAt = performance.now() + deadlineMs;
  let validator: Validator = null;
  let failure: unknown = null;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (attempt > 0) await pause(pauseMs * 2 ** (attempt - 1), undefined, signal && { signal });
    const timeoutMs = Math.floor(endAt - performance.now());
    if (timeoutMs <= 0) break;
    if (validator === null) await file.restart();
    const resume = file.bytes > 0 && validator !== null;
    let answer: OutboundAnswer;
    try {
      answer = await outbound.request({
        method: 'GET',
        url,
        headers: {
          ...headers,
          ...(resume && { range: `bytes=${file.bytes}-`, 'if-range': validator! }),
        },
        timeoutMs,
        idleMs: IDLE_MS,
        signal,
        trusted,
      });
    } catch (error) {
      if (error instanceof RefusedUrl) throw refused(error);
      failure = error;
      continue;
    }
    const meant = await readStatus(answer, file, resume);
    if (meant === 'again') continue;
    validator = validatorOf(answer);
    try {
      for await (const chunk of answer.body) await keep(file, chunk);
      return text(answer.headers['content-type']);
    } catch (error) {
      if (error instanceof KeepError) throw error.cause;
      failure = error;
    }
  }
  throw badResult('unreachable', 'The result could not be fetched.', failure);
}

/** What our own side throws is no fault of the line. */
class KeepError extends Error {
  override readonly name = 'KeepError';
}

async function keep(file: SpoolFile, chunk: Buffer): Promise<void> {
  try {
    await file.write(chunk);
  } catch (cause) {
    throw new KeepError('not kept', { cause });
  }
}

/** Makes the file ready for the body, or says that it is to be asked for once more; throws what is final. */
async function readStatus(
  answer: OutboundAnswer,
  file: SpoolFile,
  resume: boolean,
): Promise<'read' | 'again'> {
  const { status, headers } = answer;
  try {
    if (status === 206 && resume && startOf(headers['content-range']) === file.bytes) {
      await expect(file, headers);
      return 'read';
    }
    if (status === 200) {
      if (text(headers['content-encoding']).replace('identity', '') !== '') {
        throw badResult('wrong_type', 'The result came compressed, unasked.');
      }
      await file.restart();
      await expect(file, headers);
      return 'read';
    }
    if (status >= 300 && status < 400) {
      throw badResult('refused', 'The link to the result leads elsewhere.');
    }
    if (status >= 400 && status < 500 && status !== 408 && status !== 416 && status !== 429) {
      throw badResult('dead_link', `The link to the result answered ${status}.`);
    }
  } catch (error) {
    await answer.close();
    throw error;
  }
  await answer.close();
  if (status === 206 || status === 416) await file.restart();
  return 'again';
}

async function expect(file: SpoolFile, headers: OutboundAnswer['headers']): Promise<void> {
  const length = Number(text(headers['content-length']));
  if (length > 0) await file.expect(length);
}

/** A strong one only: a weak one does not say that bytes are the same. */
function validatorOf({ headers }: OutboundAnswer): Validator {
  const etag = text(headers['etag']);
  return etag.startsWith('"') ? etag : null;
}

function startOf(range: string | string[] | undefined): number | null {
  const [, start] = /^bytes ([0-9]{1,15})-/.exec(text(range)) ?? [];
  return start === undefined ? null : Number(start);
}

function text(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? '';
}

function refused(error: RefusedUrl) {
  return badResult('refused', `The link to the result ${error.message}.`, error);
}

/** An upstream whose streams do as they are asked, and clients that remember all that they saw of theirs. */
import {
  type Behaviour,
  DONE,
  event,
  ROLE,
  startStream,
  startUpstream,
  STOP,
  type TestUpstream,
  usageEvent,
  wholeBody,
  words,
  write,
} from '../support/upstream.ts';

/**
 * ends: waits in the middle, and ends well once it may; counted: hangs, and said what was used so far; plain: hangs, and said nothing of it;
 * whole: like plain, but ends well; silent: says nothing at all; json: no stream, answered once it may be.
 */
export type Kind = 'ends' | 'counted' | 'plain' | 'whole' | 'silent' | 'json';

export const WORDS = 7;
const INPUT = 20;
/** What an answer of which the usage is known costs: $0.25 and $2 a million tokens, in nano-dollars. */
export const KNOWN_COST = INPUT * 250 + WORDS * 2_000;
const USAGE = usageOf(WORDS);

function usageOf(output: number) {
  return { prompt_tokens: INPUT, completion_tokens: output, total_tokens: INPUT + output };
}

export interface Upstream extends TestUpstream {
  /** What waits may go on, and what comes later waits no more. */
  open(): void;
}

export async function startSlowUpstream(): Promise<Upstream> {
  const gate = Promise.withResolvers<void>();
  const usual: Behaviour = async (response, request) => {
    const [message] = request.json['messages'] as { content: string }[];
    const kind = message?.content.slice(3, -1) as Kind;
    if (kind === 'silent') return;
    if (kind === 'json') {
      await gate.promise;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(wholeBody({ usage: USAGE })));
      return;
    }
    startStream(response);
    await write(response, ROLE);
    for (const piece of kind === 'counted' ? countedWords() : words(WORDS)) {
      await write(response, piece);
    }
    if (kind === 'ends') await gate.promise;
    else if (kind !== 'whole') return;
    await write(response, STOP);
    if (kind === 'ends') await write(response, usageEvent(USAGE));
    response.end(DONE);
  };
  const upstream = await startUpstream(usual);
  return Object.assign(upstream, { open: () => gate.resolve() });
}

function countedWords(): string[] {
  return Array.from({ length: WORDS }, (_, index) =>
    event({ content: ` word${index}` }, { usage: usageOf(index + 1) }),
  );
}

/** What one client saw. */
export interface Seen {
  kind: Kind;
  requestId: string;
  /** Words of the answer. */
  words: number;
  /** In nano-dollars; null where it was not told. */
  cost: number | null;
  isComplete: boolean;
  /** What the books should say. */
  owes: number;
}

export interface Asking {
  seen: Seen;
  /** All that comes before the end is there. */
  begun: Promise<void>;
  ended: Promise<void>;
}

export function ask(url: string, key: string, kind: Kind): Asking {
  const seen: Seen = { kind, requestId: '', words: 0, cost: null, isComplete: false, owes: 0 };
  const begun = Promise.withResolvers<void>();
  // Nothing will come of these that could be waited for.
  if (kind === 'silent' || kind === 'json') begun.resolve();
  const ended = follow(url, key, seen, () => begun.resolve()).catch(() => {
    // The connection went with the server: that is what is tested.
    begun.resolve();
  });
  return { seen, begun: begun.promise, ended };
}

async function follow(url: string, key: string, seen: Seen, begun: () => void): Promise<void> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'slow',
      stream: seen.kind !== 'json',
      // As long for each kind, so that each is weighed alike.
      messages: [{ role: 'user', content: `Be ${seen.kind}.` }],
    }),
  });
  if (answer.status !== 200 || !answer.body) {
    throw new Error(`${seen.kind}: ${answer.status} ${await answer.text()}`);
  }
  seen.requestId = answer.headers.get('x-request-id') ?? '';
  const cost = answer.headers.get('x-request-cost');
  if (cost !== null) seen.cost = nano(cost);
  let text = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    seen.words = text.match(/ word\d/g)?.length ?? 0;
    if (seen.words === WORDS) begun();
  }
  const closing = /: farebox \{"cost":"([^"]+)"/.exec(text)?.[1];
  if (closing !== undefined) seen.cost = nano(closing);
  seen.isComplete = seen.kind === 'json' || text.endsWith(DONE);
}

function nano(usd: string): number {
  return Math.round(Number(usd) * 1e9);
}

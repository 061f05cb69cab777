/** What an answer says to its reader: text as it comes, what it cost, or the task that will have it. */
import { cut, MAX_BODY_CHARS } from '../../src/playground/protocol.ts';
import { readChatStream } from '../wallet/chat-stream.ts';

export interface ReadAnswer {
  /** Its beginning, byte for byte. */
  raw: string;
  /** Decimal dollars, where the body says it. */
  cost: string | null;
  taskId: string | null;
  /** Why it is not whole. */
  error: string | null;
}

interface Body {
  task_id?: string;
  choices?: { message?: { content?: string | null } }[];
  data?: { embedding?: number[] | string }[];
  text?: string;
}

const SHOWN_NUMBERS = 8;
const MAX_BYTES = 8 * 1024 * 1024;

export async function readAnswer(
  answer: Response,
  onText: (text: string) => void,
): Promise<ReadAnswer> {
  const type = answer.headers.get('content-type') ?? '';
  if (type.includes('event-stream')) return readStream(answer, onText);
  const raw = await textOf(answer);
  if (!type.includes('json')) {
    onText(raw);
    return { raw, cost: null, taskId: null, error: null };
  }
  const body = JSON.parse(raw) as Body;
  onText(saidIn(body));
  return { raw, cost: null, taskId: body.task_id ?? null, error: null };
}

function saidIn({ choices, data, text }: Body): string {
  if (text !== undefined) return text;
  if (choices) return choices.map(({ message }) => message?.content ?? '').join('\n\n');
  const vectors = (data ?? []).flatMap(({ embedding }) =>
    Array.isArray(embedding) ? [embedding] : [],
  );
  return vectors
    .map((numbers) => {
      const first = numbers.slice(0, SHOWN_NUMBERS).map((number) => number.toFixed(4));
      return `${numbers.length} numbers: ${first.join(', ')}${numbers.length > SHOWN_NUMBERS ? ' …' : ''}`;
    })
    .join('\n');
}

async function readStream(answer: Response, onText: (text: string) => void): Promise<ReadAnswer> {
  const decoder = new TextDecoder();
  let raw = '';
  const copied = answer.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        if (raw.length < MAX_BODY_CHARS) raw += decoder.decode(chunk, { stream: true });
        controller.enqueue(chunk);
      },
    }),
  );
  const { closing, isComplete } = await readChatStream(new Response(copied ?? null), onText);
  return {
    raw: cut(raw, MAX_BODY_CHARS),
    cost: closing?.cost ?? null,
    taskId: null,
    error: isComplete ? null : 'The stream broke before its end.',
  };
}

async function textOf(answer: Response): Promise<string> {
  const text = await answer.text();
  if (text.length > MAX_BYTES) throw new Error(`The answer is over ${MAX_BYTES} bytes.`);
  return text;
}

/** Reads a chat answer as it streams: text to show, the usage, and the gateway's closing comment. */

export interface StreamSummary {
  text: string;
  usage: Record<string, unknown> | null;
  /** What the gateway says of money in its comment before the end, as strings of dollars; null when it said nothing. */
  closing: { cost: string; balance_remaining: string } | null;
  isComplete: boolean;
}

export async function readChatStream(
  answer: Response,
  onText: (text: string) => void,
): Promise<StreamSummary> {
  const summary: StreamSummary = { text: '', usage: null, closing: null, isComplete: false };
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of answer.body ?? []) {
    rest += decoder.decode(bytes as Uint8Array, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) readLine(line, summary, onText);
  }
  return summary;
}

type Closing = StreamSummary['closing'];

const CLOSING = ': farebox ';

interface Chunk {
  choices?: { delta?: { content?: string | null } }[];
  usage?: Record<string, unknown> | null;
  error?: { message?: string };
}

function readLine(line: string, summary: StreamSummary, onText: (text: string) => void): void {
  if (line.startsWith(CLOSING)) summary.closing = JSON.parse(line.slice(CLOSING.length)) as Closing;
  if (!line.startsWith('data: ')) return;
  const data = line.slice('data: '.length);
  if (data === '[DONE]') {
    summary.isComplete = true;
    return;
  }
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.usage) summary.usage = chunk.usage;
  const text = chunk.choices?.[0]?.delta?.content ?? '';
  summary.text += text;
  if (text) onText(text);
}

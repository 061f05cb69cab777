/** Reads a chat answer as it streams: text to show, the usage, and the gateway's closing comment. */

export interface StreamSummary {
  text: string;
  usage: Record<string, unknown> | null;
  /** Comment lines of the stream, without the colon. */
  comments: string[];
  isComplete: boolean;
}

export async function readChatStream(
  answer: Response,
  onText: (text: string) => void,
): Promise<StreamSummary> {
  const summary: StreamSummary = { text: '', usage: null, comments: [], isComplete: false };
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

interface Chunk {
  choices?: { delta?: { content?: string | null } }[];
  usage?: Record<string, unknown> | null;
  error?: { message?: string };
}

function readLine(line: string, summary: StreamSummary, onText: (text: string) => void): void {
  if (line.startsWith(':')) summary.comments.push(line.slice(1).trim());
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

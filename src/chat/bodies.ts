/** Bodies whose dialect nobody said: estimates take those of all routes. */
import type { TokenModel } from '../config/config.ts';
import { isFields } from '../providers/openai-usage.ts';
import { parseMessages } from './anthropic.ts';
import { parseEmbeddings } from './embeddings.ts';
import type { Fields } from './forbidden.ts';
import { canonicalBody } from './plan.ts';
import { type ParsedRequest, parseRequest } from './request.ts';
import { parseResponses } from './responses.ts';

/** A request as it would be sent; null where these fields hold none. Errors: as the routes have them. */
export function requestIn(
  fields: Readonly<Fields>,
  type: TokenModel['type'],
): ParsedRequest | null {
  const { messages, input } = fields;
  const isEmbedded = type === 'embedding';
  if (input === undefined && (messages === undefined || isEmbedded)) return null;
  const body = canonicalBody(Buffer.from(JSON.stringify(fields)));
  if (isEmbedded) return parseEmbeddings(body);
  if (messages === undefined) return parseResponses(body);
  return isAnthropic(fields) ? parseMessages(body) : parseRequest(body);
}

/** What OpenAI's chats do not have. */
const BLOCKS = new Set([
  'image',
  'document',
  'search_result',
  'thinking',
  'redacted_thinking',
  'tool_use',
  'tool_result',
]);

function isAnthropic({ system, tools, messages }: Readonly<Fields>): boolean {
  if ((system ?? null) !== null) return true;
  if (someOf(tools, (tool) => 'input_schema' in tool)) return true;
  return someOf(messages, ({ content }) =>
    someOf(content, ({ type }) => typeof type === 'string' && BLOCKS.has(type)),
  );
}

function someOf(list: unknown, is: (item: Fields) => boolean): boolean {
  return Array.isArray(list) && (list as unknown[]).some((item) => isFields(item) && is(item));
}

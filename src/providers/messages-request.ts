/**
 * Anthropic's /v1/messages body as OpenAI's chat completions take it. What has no counterpart there and would change the answer is
 * refused, so that nobody pays for something else than was asked for. Left out is what only hints or pays for itself elsewhere:
 * thinking (and the thoughts of earlier turns), cache_control, top_k, metadata, effort.
 */
import { AppError } from '../errors.ts';
import { contentParts, textOnly, toolMessages } from './messages-blocks.ts';
import { isFields } from './openai-usage.ts';

type Fields = Record<string, unknown>;

/** `limit`: the output limit, under the name that the server obeys. Errors: invalid_request, unsupported_parameter, naming the field. */
export function toChat(
  body: Fields,
  model: string,
  limit: { field: string; tokens: number },
): Fields {
  const isStream = body['stream'] === true;
  return withoutUndefined({
    model,
    messages: [...systemMessages(body['system'], 'system'), ...readMessages(body['messages'])],
    [limit.field]: limit.tokens,
    stream: isStream ? true : undefined,
    stream_options: isStream ? { include_usage: true } : undefined,
    temperature: body['temperature'] ?? undefined,
    top_p: body['top_p'] ?? undefined,
    stop: stopsOf(body['stop_sequences']),
    tools: toolsOf(body['tools']),
    ...toolChoiceOf(body['tool_choice']),
    response_format: formatOf(body),
  });
}

function readMessages(given: unknown): Fields[] {
  const list = listOf(given, 'messages');
  const messages: Fields[] = [];
  for (const [index, message] of list.entries()) {
    const place = `messages[${index}]`;
    if (!isFields(message)) throw wrong(place, 'must be an object');
    const { role, content } = message;
    switch (role) {
      case 'user':
        messages.push(...userMessages(content, place));
        break;
      case 'assistant':
        messages.push(assistantMessage(content, place));
        break;
      case 'system':
        messages.push(...systemMessages(content, `${place}.content`));
        break;
      default:
        throw wrong(`${place}.role`, 'must be user or assistant');
    }
  }
  const last = list.at(-1);
  // Anthropic goes on where such a message ends; here it would be answered.
  if (isFields(last) && last['role'] === 'assistant') {
    throw wrong('messages', 'must end with a message of the user: this model continues no answer');
  }
  return messages;
}

function systemMessages(content: unknown, place: string): Fields[] {
  if (content === undefined || content === null || content === '') return [];
  if (typeof content === 'string') return [{ role: 'system', content }];
  const texts = listOf(content, place).map((block, index) => textOnly(block, `${place}[${index}]`));
  return texts.length ? [{ role: 'system', content: texts.join('\n\n') }] : [];
}

/** Results of tools are messages of their own there, and come right after the calls. */
function userMessages(content: unknown, place: string): Fields[] {
  if (typeof content === 'string') return [{ role: 'user', content }];
  const blocks = listOf(content, `${place}.content`);
  const results: Fields[] = [];
  const parts: Fields[] = [];
  for (const [index, block] of blocks.entries()) {
    const at = `${place}.content[${index}]`;
    if (isFields(block) && block['type'] === 'tool_result') {
      const { message, images } = toolMessages(block, at);
      results.push(message);
      parts.push(...images);
    } else parts.push(...contentParts(block, at));
  }
  const [only] = parts;
  const isText = parts.length === 1 && only?.['type'] === 'text';
  const said = parts.length ? [{ role: 'user', content: isText ? only['text'] : parts }] : [];
  return [...results, ...said];
}

const THOUGHTS = new Set(['thinking', 'redacted_thinking']);

function assistantMessage(content: unknown, place: string): Fields {
  if (typeof content === 'string') return { role: 'assistant', content };
  const calls: Fields[] = [];
  let text = '';
  for (const [index, block] of listOf(content, `${place}.content`).entries()) {
    const at = `${place}.content[${index}]`;
    if (!isFields(block)) throw wrong(at, 'must be an object');
    const type = block['type'];
    if (type === 'tool_use') calls.push(callOf(block, at));
    else if (typeof type !== 'string' || !THOUGHTS.has(type)) text += textOnly(block, at);
  }
  return {
    role: 'assistant',
    content: text === '' && calls.length ? null : text,
    ...(calls.length && { tool_calls: calls }),
  };
}

function callOf(block: Fields, at: string): Fields {
  return {
    id: textOf(block['id'], `${at}.id`),
    type: 'function',
    function: {
      name: textOf(block['name'], `${at}.name`),
      arguments: JSON.stringify(block['input'] ?? {}),
    },
  };
}

function toolsOf(tools: unknown): unknown {
  if (tools === undefined || tools === null) return undefined;
  const list = listOf(tools, 'tools').map((tool, index) => {
    const at = `tools[${index}]`;
    if (!isFields(tool) || (tool['type'] ?? 'custom') !== 'custom') {
      throw unsupported(at, 'must be a tool of your own, with an input_schema, for this model');
    }
    const declared = withoutUndefined({
      name: textOf(tool['name'], `${at}.name`),
      description: tool['description'] ?? undefined,
      parameters: tool['input_schema'] ?? { type: 'object', properties: {} },
      strict: tool['strict'] ?? undefined,
    });
    return { type: 'function', function: declared };
  });
  return list.length ? list : undefined;
}

function toolChoiceOf(choice: unknown): Fields {
  if (choice === undefined || choice === null) return {};
  if (!isFields(choice)) throw wrong('tool_choice', 'must be an object with a "type"');
  const serial = choice['disable_parallel_tool_use'] === true && { parallel_tool_calls: false };
  switch (choice['type']) {
    case 'auto':
      return { tool_choice: 'auto', ...serial };
    case 'any':
      return { tool_choice: 'required', ...serial };
    case 'none':
      return { tool_choice: 'none' };
    case 'tool': {
      const name = textOf(choice['name'], 'tool_choice.name');
      return { tool_choice: { type: 'function', function: { name } }, ...serial };
    }
    default:
      throw wrong('tool_choice.type', 'must be auto, any, tool or none');
  }
}

/** Structured output: `output_config.format`, or `output_format` as it was called before. */
function formatOf(body: Fields): unknown {
  const config = body['output_config'];
  const format = (isFields(config) ? config['format'] : null) ?? body['output_format'] ?? null;
  if (format === null) return undefined;
  if (!isFields(format) || format['type'] !== 'json_schema' || !isFields(format['schema'])) {
    throw unsupported('output_config.format', 'must be of type json_schema, with a "schema"');
  }
  const schema = { name: 'answer', schema: format['schema'], strict: true };
  return { type: 'json_schema', json_schema: schema };
}

function stopsOf(stops: unknown): unknown {
  if (stops === undefined || stops === null) return undefined;
  const list = listOf(stops, 'stop_sequences');
  return list.length ? list : undefined;
}

export function textOf(value: unknown, field: string): string {
  if (typeof value === 'string') return value;
  throw wrong(field, 'must be text');
}

function listOf(value: unknown, field: string): unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  throw wrong(field, 'must be text or a list');
}

function withoutUndefined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function wrong(field: string, rule: string): AppError {
  return new AppError('invalid_request', `The field "${field}" ${rule}.`, { details: { field } });
}

function unsupported(field: string, rule: string): AppError {
  return new AppError('unsupported_parameter', `The field "${field}" ${rule}.`, {
    details: { field },
  });
}

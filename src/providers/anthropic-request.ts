/**
 * OpenAI's chat body as Anthropic's /v1/messages takes it. What has no counterpart there and would change the answer is refused, so that
 * nobody pays for something else than was asked for; what only hints (seed, penalties, user,
 * reasoning_effort) is left out, as Anthropic's own layer does; its own `thinking`, `output_config` and `cache_control` pass.
 */
import { isUtf8 } from 'node:buffer';
import { AppError } from '../errors.ts';
import { isFields } from './openai-usage.ts';

type Fields = Record<string, unknown>;

export interface AnthropicBlock extends Fields {
  type: string;
}

interface AnthropicMessage {
  role: 'user' | 'assistant';
  content: AnthropicBlock[];
}

/** Refused where they ask for more than nothing. */
const UNSUPPORTED = [
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'audio',
  'prediction',
  'functions',
  'function_call',
];
const MAX_TEMPERATURE = 1;
const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+);base64,(.*)$/s;

/** Errors: invalid_request and unsupported_parameter, naming the field. */
export function toAnthropic(body: Fields, model: string, maxTokens: number): Fields {
  refuseUnsupported(body);
  const { system, messages } = readMessages(body['messages']);
  const thinking = body['thinking'] ?? undefined;
  return withoutUndefined({
    model,
    max_tokens: maxTokens,
    system: system.length ? system : undefined,
    messages,
    stream: body['stream'] === true ? true : undefined,
    // A model that thinks takes no other temperature than its own.
    temperature: thinking === undefined ? temperatureOf(body['temperature']) : undefined,
    top_p: body['top_p'] ?? undefined,
    top_k: body['top_k'] ?? undefined,
    stop_sequences: stopsOf(body['stop']),
    tools: toolsOf(body['tools']),
    tool_choice: toolChoiceOf(body),
    thinking,
    output_config: body['output_config'] ?? undefined,
  });
}

function refuseUnsupported(body: Fields): void {
  for (const name of UNSUPPORTED) {
    const value = body[name] ?? false;
    if (value !== false && value !== 0) throw unsupported(name, 'is not served by this model');
  }
  if ((body['n'] ?? 1) !== 1) throw unsupported('n', 'must be 1 for this model');
  const format = body['response_format'];
  if (isFields(format) && format['type'] !== 'text') {
    throw unsupported(
      'response_format',
      'must be text for this model; describe the form in a tool',
    );
  }
}

function readMessages(given: unknown): { system: AnthropicBlock[]; messages: AnthropicMessage[] } {
  const system: AnthropicBlock[] = [];
  const messages: AnthropicMessage[] = [];
  const add = (role: AnthropicMessage['role'], content: AnthropicBlock[]) => {
    if (!content.length) return;
    const last = messages.at(-1);
    // Roles must take turns there; here the same one may speak twice.
    if (last?.role === role) last.content.push(...content);
    else messages.push({ role, content });
  };
  for (const [index, message] of listOf(given).entries()) {
    if (!isFields(message)) throw wrong(`messages[${index}]`, 'must be an object');
    const place = `messages[${index}]`;
    const { role, content } = message;
    switch (role) {
      case 'system':
      case 'developer':
        system.push(...textBlocks(content, place));
        break;
      case 'user':
        add('user', userBlocks(content, place));
        break;
      case 'assistant':
        add('assistant', [...textBlocks(content, place), ...toolUses(message, place)]);
        break;
      case 'tool':
        add('user', [toolResult(message, place)]);
        break;
      default:
        throw wrong(`${place}.role`, 'must be system, developer, user, assistant or tool');
    }
  }
  return { system, messages };
}

function textBlocks(content: unknown, place: string): AnthropicBlock[] {
  if (content === null || content === undefined || content === '') return [];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return listOf(content).map((part, index) => {
    const at = `${place}.content[${index}]`;
    if (!isFields(part)) throw wrong(at, 'must be an object');
    if (part['type'] === 'refusal') return { type: 'text', text: textOf(part['refusal'], at) };
    if (part['type'] !== 'text') throw wrong(`${at}.type`, 'must be text here');
    return textBlock(part, at);
  });
}

function textBlock(part: Fields, at: string): AnthropicBlock {
  return { type: 'text', text: textOf(part['text'], `${at}.text`), ...cacheControl(part) };
}

function userBlocks(content: unknown, place: string): AnthropicBlock[] {
  if (typeof content === 'string' || content === null) return textBlocks(content, place);
  return listOf(content).map((part, index) => {
    const at = `${place}.content[${index}]`;
    if (!isFields(part)) throw wrong(at, 'must be an object');
    switch (part['type']) {
      case 'text':
        return textBlock(part, at);
      case 'image_url':
        return { ...imageBlock(part['image_url'], at), ...cacheControl(part) };
      case 'file':
        return { ...documentBlock(part['file'], at), ...cacheControl(part) };
      default:
        throw wrong(`${at}.type`, 'must be text, image_url or file for this model');
    }
  });
}

function imageBlock(image: unknown, at: string): AnthropicBlock {
  const url = isFields(image) ? image['url'] : image;
  if (typeof url !== 'string') throw wrong(`${at}.image_url.url`, 'must be a URL');
  const data = DATA_URL.exec(url);
  if (data) {
    return { type: 'image', source: { type: 'base64', media_type: data[1], data: data[2] } };
  }
  if (!/^https?:\/\//i.test(url)) throw wrong(`${at}.image_url.url`, 'must be https or data:');
  return { type: 'image', source: { type: 'url', url } };
}

/** A PDF, or what is no PDF as text. */
function documentBlock(file: unknown, at: string): AnthropicBlock {
  const { file_data: data, filename } = isFields(file) ? file : {};
  const given = textOf(data, `${at}.file.file_data`);
  const [, type, inside] = DATA_URL.exec(given) ?? [];
  const base64 = inside ?? given;
  const bytes = Buffer.from(base64, 'base64');
  const isPdf = type === 'application/pdf' || bytes.subarray(0, 1_024).includes('%PDF');
  const source = isPdf
    ? { type: 'base64', media_type: 'application/pdf', data: base64 }
    : { type: 'text', media_type: 'text/plain', data: plainText(bytes, at) };
  return { type: 'document', source, ...(typeof filename === 'string' && { title: filename }) };
}

function plainText(bytes: Buffer, at: string): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw wrong(`${at}.file`, 'must be a PDF or plain text for this model');
}

function toolUses(message: Fields, place: string): AnthropicBlock[] {
  return listOf(message['tool_calls'] ?? []).map((call, index) => {
    const at = `${place}.tool_calls[${index}]`;
    const called = isFields(call) && isFields(call['function']) ? call['function'] : null;
    if (!isFields(call) || !called) throw wrong(at, 'must be a call of a function');
    return {
      type: 'tool_use',
      id: textOf(call['id'], `${at}.id`),
      name: textOf(called['name'], `${at}.function.name`),
      input: argumentsOf(called['arguments'], `${at}.function.arguments`),
    };
  });
}

function argumentsOf(text: unknown, at: string): unknown {
  if (text === undefined || text === '') return {};
  try {
    const value: unknown = JSON.parse(textOf(text, at));
    if (isFields(value)) return value;
  } catch {
    // Said below.
  }
  throw wrong(at, 'must be a JSON object');
}

function toolResult(message: Fields, place: string): AnthropicBlock {
  return {
    type: 'tool_result',
    tool_use_id: textOf(message['tool_call_id'], `${place}.tool_call_id`),
    content: textBlocks(message['content'], place),
    ...cacheControl(message),
  };
}

function toolsOf(tools: unknown): unknown {
  if (tools === undefined || tools === null) return undefined;
  return listOf(tools).map((tool, index) => {
    const at = `tools[${index}]`;
    const declared = isFields(tool) && isFields(tool['function']) ? tool['function'] : null;
    if (!isFields(tool) || tool['type'] !== 'function' || !declared) {
      throw unsupported(at, 'must be a function for this model');
    }
    return withoutUndefined({
      name: textOf(declared['name'], `${at}.function.name`),
      description: declared['description'] ?? undefined,
      input_schema: declared['parameters'] ?? { type: 'object', properties: {} },
      ...cacheControl(tool),
    });
  });
}

function toolChoiceOf(body: Fields): unknown {
  const choice = body['tool_choice'] ?? undefined;
  const isSerial = body['parallel_tool_calls'] === false;
  const more = isSerial ? { disable_parallel_tool_use: true } : {};
  if (choice === undefined)
    return isSerial && body['tools'] ? { type: 'auto', ...more } : undefined;
  if (choice === 'none') return { type: 'none' };
  if (choice === 'auto') return { type: 'auto', ...more };
  if (choice === 'required') return { type: 'any', ...more };
  const named = isFields(choice) && isFields(choice['function']) ? choice['function'] : null;
  if (!named) throw wrong('tool_choice', 'must be none, auto, required or a function');
  return { type: 'tool', name: textOf(named['name'], 'tool_choice.function.name'), ...more };
}

/** Anthropic's range ends where OpenAI's is half-way. */
function temperatureOf(value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw wrong('temperature', 'must be a number');
  return Math.min(value, MAX_TEMPERATURE);
}

function stopsOf(stop: unknown): unknown {
  if (stop === undefined || stop === null) return undefined;
  return typeof stop === 'string' ? [stop] : listOf(stop);
}

function cacheControl(part: Fields): Fields {
  return isFields(part['cache_control']) ? { cache_control: part['cache_control'] } : {};
}

function textOf(value: unknown, field: string): string {
  if (typeof value === 'string') return value;
  throw wrong(field, 'must be text');
}

function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  throw wrong('messages', 'must hold lists where OpenAI’s API has lists');
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

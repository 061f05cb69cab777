/** Reads the caller's /responses body: text, or items as OpenAI's Responses have them. */
import { isFields } from '../providers/openai-usage.ts';
import { type Fields, refuseDisguised, unsupported } from './forbidden.ts';
import { type Media, noMedia } from './media.ts';
import { readParts } from './messages.ts';
import {
  booleanField,
  invalidField,
  parsed,
  type ParsedRequest,
  readFields,
  wholeField,
} from './request.ts';
import { countTools } from './tools.ts';

const MAX_ITEMS = 10_000;
/** OpenAI refuses a smaller limit. */
const LEAST_OUTPUT = 16;

/** Items that say what they are, and the member that says it: without it they could only be meant by their id. */
const ITEMS: Record<string, string> = {
  message: 'content',
  function_call: 'arguments',
  custom_tool_call: 'input',
  local_shell_call: 'action',
  apply_patch_call: 'operation',
  function_call_output: 'output',
  custom_tool_call_output: 'output',
  local_shell_call_output: 'output',
  apply_patch_call_output: 'status',
};
const ITEM_FIELDS = new Set([
  ...Object.values(ITEMS),
  'type',
  'id',
  'role',
  'summary',
  'encrypted_content',
]);

/** Errors: invalid_json, invalid_request (with details.field), unsupported_parameter. */
export function parseResponses(body: Buffer): ParsedRequest {
  const { fields, members } = readFields(body);
  const media = noMedia();
  readInstructions(fields['instructions']);
  readInput(fields['input'], media);
  countTools(fields['tools'], media);
  return parsed(
    body,
    { fields, members, media },
    {
      isStream: booleanField(fields, 'stream'),
      outputLimit: wholeField(fields, 'max_output_tokens', Number.MAX_SAFE_INTEGER),
      leastOutput: LEAST_OUTPUT,
      n: 1,
      wantsUsage: true,
    },
  );
}

function readInstructions(value: unknown): void {
  if (value === undefined || value === null || typeof value === 'string') return;
  throw invalidField('instructions', 'must be text');
}

function readInput(input: unknown, media: Media): void {
  if (typeof input === 'string') return;
  if (!Array.isArray(input) || !input.length || input.length > MAX_ITEMS) {
    throw invalidField('input', `must be text, or a list of 1 to ${MAX_ITEMS} items`);
  }
  for (const [index, item] of (input as unknown[]).entries()) {
    const name = `input[${index}]`;
    if (!isFields(item)) throw invalidField(name, 'must be an object');
    for (const key of Object.keys(item)) refuseDisguised(key, ITEM_FIELDS, name);
    readItem(item, name, media);
  }
}

function readItem(item: Fields, name: string, media: Media): void {
  const type = item['type'] ?? 'message';
  if (type === 'reasoning') return readReasoning(item, name);
  const member = typeof type === 'string' && Object.hasOwn(ITEMS, type) ? ITEMS[type] : undefined;
  if (member === undefined) {
    const said = JSON.stringify(type).slice(0, 60);
    throw unsupported(name, `an item of type ${said} names what is stored, or has no price`);
  }
  const value = item[member] ?? null;
  if (value === null) throw invalidField(`${name}.${member}`, 'must be there: nothing is stored');
  if (Array.isArray(value)) readParts(value, `${name}.${member}`, media);
  else if (isFields(value) && (member === 'content' || member === 'output')) {
    throw invalidField(`${name}.${member}`, 'must be text or a list of parts');
  }
}

/** Thoughts are given back whole. An id alone names those that the upstream keeps. */
function readReasoning(item: Fields, name: string): void {
  if (typeof item['encrypted_content'] === 'string') return;
  const { content } = item;
  if (Array.isArray(content) && content.length) return;
  throw unsupported(
    name,
    'thoughts are not stored: ask for them with "include": ["reasoning.encrypted_content"], and send them back whole',
  );
}

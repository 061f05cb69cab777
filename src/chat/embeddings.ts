/** Reads the caller's /embeddings body: text, a list of texts, tokens, or a list of lists of tokens. */
import { noMedia } from './media.ts';
import { invalidField, type ParsedRequest, parseSingle } from './request.ts';

/** OpenAI's bounds. */
const MAX_INPUTS = 2_048;
const MAX_TOKENS = 300_000;

/** Errors: invalid_json, invalid_request (with details.field), unsupported_parameter. */
export function parseEmbeddings(body: Buffer): ParsedRequest {
  return parseSingle(body, (fields) => {
    requireInput(fields['input']);
    return noMedia();
  });
}

function requireInput(input: unknown): void {
  if (typeof input === 'string' && input !== '') return;
  if (Array.isArray(input) && input.length > 0) {
    const list = input as unknown[];
    if (isTokens(list)) return;
    const isGood = list.every((item) => isText(item) || (Array.isArray(item) && isTokens(item)));
    if (isGood && list.length <= MAX_INPUTS) return;
  }
  throw invalidField(
    'input',
    `must be text, up to ${MAX_INPUTS} texts, tokens, or up to ${MAX_INPUTS} lists of tokens; none of them empty`,
  );
}

function isText(item: unknown): boolean {
  return typeof item === 'string' && item !== '';
}

function isTokens(list: unknown[]): boolean {
  const isCounted = list.length > 0 && list.length <= MAX_TOKENS;
  return isCounted && list.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
}

/**
 * The one list of what a chat body may not ask for: fields that name state in the operator's upstream account, which all callers
 * share, and fields that change what the upstream charges in a way that no rule of the catalogue prices.
 */
import { AppError } from '../errors.ts';

type Fields = Record<string, unknown>;
/** Says why a value is refused, or null where it is harmless. */
type Rule = (value: unknown) => string | null;

const STATE = 'it names state in the upstream account, which is not yours alone';
const COST = 'it changes what the upstream charges, and no price is set for it';
const ROUTE = 'the gateway chooses the route';

const always =
  (why: string): Rule =>
  () =>
    why;
const unless =
  (why: string, ...harmless: unknown[]): Rule =>
  (value) =>
    harmless.includes(value) ? null : why;

/** By top-level name. A field that is null is the same as absent. */
const RULES = new Map<string, Rule>(
  Object.entries({
    previous_response_id: always(STATE),
    conversation: always(STATE),
    background: unless(STATE, false),
    store: unless(STATE, false),
    container: always(STATE),
    // "auto" is what OpenAI takes when the field is absent.
    service_tier: unless(COST, 'default', 'auto'),
    web_search_options: always(COST),
    search_parameters: always(COST),
    plugins: always(COST),
    mcp_servers: always(COST),
    audio: always(COST),
    best_of: unless(COST, 1),
    modalities: (value) => (isTextOnly(value) ? null : COST),
    tools: hostedTool,
    tool_choice: hostedToolChoice,
    venice_parameters: veniceParameters,
    preset: always(STATE),
    prompt_id: always(STATE),
    deferred: unless(COST, false),
    enable_search: unless(COST, false),
    // What routers read as a choice of another model, key or server.
    models: always(ROUTE),
    provider: always(ROUTE),
    route: always(ROUTE),
    fallbacks: always(ROUTE),
    api_key: always(ROUTE),
    api_base: always(ROUTE),
    base_url: always(ROUTE),
  }),
);

/** Names whose meaning must not depend on how an upstream compares letters. */
const EXACT = new Set([
  ...RULES.keys(),
  'model',
  'messages',
  'stream',
  'stream_options',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'max_credits',
  'quote_id',
  'callback_url',
]);
const PLAIN_NAME = /^[a-z0-9_]*$/;

/** Throws AppError unsupported_parameter, or invalid_request for a name that some upstreams would read as another. */
export function refuseForbidden(names: Iterable<string>, fields: Fields): void {
  for (const name of names) {
    if (!PLAIN_NAME.test(name)) refuseDisguised(name);
    const rule = RULES.get(name);
    const value = rule ? (fields[name] ?? null) : null;
    const why = rule && value !== null ? rule(value) : null;
    if (why) throw unsupported(name, why);
  }
}

/** Go's JSON reader, which many upstreams use, ignores case: "MAX_TOKENS" beside "max_tokens" would be the one that counts. */
function refuseDisguised(name: string): void {
  const folded = name.toUpperCase().toLowerCase();
  if (!EXACT.has(folded)) return;
  throw new AppError(
    'invalid_request',
    `The field ${JSON.stringify(name)} must be written "${folded}".`,
    {
      details: { field: name },
    },
  );
}

export function unsupported(field: string, why: string): AppError {
  return new AppError('unsupported_parameter', `"${field}" is not supported here: ${why}.`, {
    details: { field },
  });
}

function isTextOnly(value: unknown): boolean {
  return Array.isArray(value) && value.every((modality) => modality === 'text');
}

function hostedTool(value: unknown): string | null {
  if (!Array.isArray(value)) return null;
  for (const tool of value as unknown[]) {
    const type = isFields(tool) ? (tool['type'] ?? 'function') : 'function';
    if (
      isFields(tool) &&
      Object.keys(tool).some((name) => name !== 'type' && /^type$/i.test(name))
    ) {
      return 'the type of a tool must be written "type"';
    }
    if (type !== 'function' && type !== 'custom') {
      return `the hosted tool ${JSON.stringify(type).slice(0, 60)} has no price; tools of type "function" and "custom" have`;
    }
  }
  return null;
}

const TOOL_CHOICES: unknown[] = ['function', 'custom', 'allowed_tools'];

function hostedToolChoice(value: unknown): string | null {
  if (!isFields(value)) return null;
  const type = value['type'] ?? 'function';
  return TOOL_CHOICES.includes(type) ? null : COST;
}

function veniceParameters(value: unknown): string | null {
  if (!isFields(value)) return null;
  const search = value['enable_web_search'] ?? 'off';
  if (search !== 'off' && search !== false) return 'enable_web_search has no price';
  for (const name of ['enable_web_scraping', 'enable_x_search']) {
    if ((value[name] ?? false) !== false) return `${name} has no price`;
  }
  return null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

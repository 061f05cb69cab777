/**
 * The one list of what a body may not ask for, whatever its dialect: fields that name state in the operator's upstream account, which all callers
 * share, and fields that change what the upstream charges in a way that no rule of the catalogue prices.
 */
import { AppError } from '../errors.ts';
import { isFields } from '../providers/openai-usage.ts';

export type Fields = Record<string, unknown>;
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
    // A prompt that is kept in the account; text is only text.
    prompt: (value) => (typeof value === 'object' ? STATE : null),
    thread: always(STATE),
    thread_id: always(STATE),
    assistant_id: always(STATE),
    agent_id: always(STATE),
    session_id: always(STATE),
    response_id: always(STATE),
    conversation_id: always(STATE),
    previous_message_id: always(STATE),
    diagnostics: (value) => (hasInside(value, 'previous_message_id') ? STATE : null),
    file_ids: always(STATE),
    attachments: always(STATE),
    vector_store_ids: always(STATE),
    input_file_id: always(STATE),
    batch_id: always(STATE),
    user_profile_id: always(STATE),
    workspace_id: always(STATE),
    kv_transfer_params: always(STATE),
    cached_content: always(STATE),
    // Where Google's own fields are put beside OpenAI's.
    extra_body: (value) => (hasInside(value, 'cached_content', 'cachedContent') ? STATE : null),
    google: (value) => (hasInside(value, 'cached_content', 'cachedContent') ? STATE : null),
    // "auto" is what OpenAI takes when the field is absent.
    service_tier: unless(COST, 'default', 'auto', 'standard_only'),
    speed: unless(COST, 'standard'),
    inference_geo: unless(COST, 'global'),
    billing_policy: always(COST),
    compaction: always(COST),
    context_management: contextManagement,
    fallback_credit_token: always(COST),
    compound_custom: always(COST),
    // Thirty minutes is what there is without being asked for; no price is known of other lives.
    prompt_cache_options: (value) => (isUsualCache(value) ? null : COST),
    access_programs: always('it asks for what the operator was granted'),
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
  'max_output_tokens',
  'input',
  'instructions',
  'system',
  'thinking',
  'max_credits',
  'quote_id',
  'callback_url',
]);
const PLAIN_NAME = /^[a-z0-9_]*$/;

/** Throws AppError unsupported_parameter, or invalid_request for a name that some upstreams would read as another. */
export function refuseForbidden(names: Iterable<string>, fields: Fields): void {
  for (const name of names) {
    refuseDisguised(name, EXACT);
    const rule = RULES.get(name);
    const value = rule ? (fields[name] ?? null) : null;
    const why = rule && value !== null ? rule(value) : null;
    if (why) throw unsupported(name, why);
  }
}

/**
 * Go's JSON reader, which many upstreams use, ignores case: "MAX_TOKENS" beside "max_tokens" would be the one that counts. `exact`: the
 * names of which this is so; `at`: where the object is.
 */
export function refuseDisguised(name: string, exact: ReadonlySet<string>, at = ''): void {
  if (!isDisguised(name, exact)) return;
  const folded = name.toUpperCase().toLowerCase();
  const field = at ? `${at}.${name}` : name;
  throw new AppError(
    'invalid_request',
    `The field ${JSON.stringify(field)} must be written "${folded}".`,
    { details: { field } },
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

/** Tools of the caller's own, and those that upstreams describe and callers carry out: they cost tokens and nothing else. */
const OWN_TOOLS = new Set(['function', 'custom', 'local_shell', 'apply_patch']);
const OWN_TOOL_VERSIONS = /^(?:bash|text_editor|computer|memory)_\d{8}$/;
const TOOL_FIELDS = new Set(['type']);

function hostedTool(value: unknown): string | null {
  if (!Array.isArray(value)) return 'it must be a list';
  for (const tool of value as unknown[]) {
    if (!isFields(tool)) return 'each of them must be an object';
    const type = tool['type'] ?? 'function';
    if (Object.keys(tool).some((name) => isDisguised(name, TOOL_FIELDS))) {
      return 'the type of a tool must be written "type"';
    }
    const isOwn = typeof type === 'string' && (OWN_TOOLS.has(type) || OWN_TOOL_VERSIONS.test(type));
    if (!isOwn) {
      return `the hosted tool ${JSON.stringify(type).slice(0, 60)} has no price; tools of type "function" and "custom" have`;
    }
  }
  return null;
}

function isDisguised(name: string, exact: ReadonlySet<string>): boolean {
  if (PLAIN_NAME.test(name)) return false;
  const folded = name.toUpperCase().toLowerCase();
  return folded !== name && exact.has(folded);
}

const TOOL_CHOICES: unknown[] = [
  ...OWN_TOOLS,
  'allowed_tools',
  // Anthropic's.
  'auto',
  'any',
  'tool',
  'none',
];

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

export function isUsualCache(value: unknown): boolean {
  const ttl = isFields(value) ? (value['ttl'] ?? '30m') : null;
  return ttl === '30m';
}

/** Edits that only leave things out are free; summaries are written by the model, and not counted where the rest is. */
function contextManagement(value: unknown): string | null {
  const edits = isFields(value) ? (value['edits'] ?? []) : value;
  if (!Array.isArray(edits)) return COST;
  const isFree = (edits as unknown[]).every((edit) => {
    const type = isFields(edit) ? edit['type'] : null;
    return typeof type === 'string' && type.startsWith('clear_');
  });
  return isFree ? null : COST;
}

const DEPTH = 4;

/** Whether any of these names has a value in an object or one inside it. */
function hasInside(value: unknown, ...names: string[]): boolean {
  const look = (inner: unknown, depth: number): boolean =>
    isFields(inner) &&
    Object.entries(inner).some(
      ([name, held]) =>
        held !== null &&
        (names.some((each) => each.toLowerCase() === name.toLowerCase()) ||
          (depth < DEPTH && look(held, depth + 1))),
    );
  return look(value, 0);
}

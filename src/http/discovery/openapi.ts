/** GET /openapi.json: every route that is served, from the very schemas that check requests where there are such. */
import type { z } from 'zod';
import { RIGHTS } from '../../auth/rights.ts';
import type { ModelConfig } from '../../config/config.ts';
import { formatUsd } from '../../money.ts';
import type { RouteEntry } from '../router.ts';
import { type Described, documentedPath, exampleOf, HTML, JSON_TYPE } from './described.ts';
import { EXAMPLES } from './examples.ts';
import { jsonText, type Made, type Site } from './kept.ts';
import { PLAIN } from './plain.ts';
import { SALES } from './sales.ts';
import { COMPONENTS, errorName, ref, type Schema, schemaOf } from './schemas.ts';

export function openapi(site: Site): Made {
  return { type: `${JSON_TYPE}; charset=utf-8`, text: jsonText(openapiDocument(site)) };
}

/** Of the operator's own listener, which is reached by no name of ours. */
export function openapiOfOwnDoor(site: Site): Made {
  const document = { ...openapiDocument(site), servers: [{ url: '/' }] };
  return { type: `${JSON_TYPE}; charset=utf-8`, text: jsonText(document) };
}

/** Null for a route that nobody described: a test finds it. */
export function describedOf({ method, path, operation }: RouteEntry): Described | null {
  const name = `${method} ${path}`;
  if (!operation) return (method === 'post' ? SALES[path] : undefined) ?? PLAIN[name] ?? null;
  const { answer, ...rest } = operation;
  const isText = path === '/metrics';
  return {
    ...rest,
    answer: isText ? null : answer,
    ...EXAMPLES[name],
    ...(isText && { answerTypes: ['text/plain'] }),
  };
}

export function openapiDocument(site: Site): Schema {
  const paths: Record<string, Schema> = {};
  for (const route of site.table) {
    const described = describedOf(route);
    if (!described) continue;
    const named = documentedPath(route.path);
    paths[named] = { ...paths[named], [route.method]: documented(route, described, site) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Farebox',
      version: '1',
      description:
        'AI by the call for wallets and API keys. How to pay and to sign in: /auth.md. What is sold, at which price: /v1/models.',
      'x-guidance': `Call a paid route without credentials to learn what it costs (402, x402 version 2); pay by PAYMENT-SIGNATURE. Details: ${site.origin}/llms.txt`,
    },
    servers: [{ url: site.origin }],
    externalDocs: { url: `${site.origin}/llms.txt`, description: 'For agents' },
    tags: TAGS.map((name) => ({ name })),
    paths,
    components: { securitySchemes: SCHEMES, schemas: COMPONENTS },
  };
}

const SCHEMES: Schema = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An API key' },
  apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
  siwx: {
    type: 'apiKey',
    in: 'header',
    name: 'SIGN-IN-WITH-X',
    description: 'A wallet’s signed sign-in message (SIWE or Solana), base64 of JSON',
  },
  x402: {
    type: 'apiKey',
    in: 'header',
    name: 'PAYMENT-SIGNATURE',
    description: 'A signed x402 payment, base64 of JSON; no account is needed',
  },
};

export const TAGS = [
  'Inference',
  'Models',
  'Tasks',
  'Wallets',
  'Keys',
  'Usage',
  'Discovery',
  'Operator',
] as const;

function tagOf({ path, right }: RouteEntry): (typeof TAGS)[number] {
  if (right === 'admin') return 'Operator';
  if (right === 'infer' || /estimate|quote|count_tokens/.test(path)) return 'Inference';
  if (path.includes('/x402')) return 'Wallets';
  if (/models|styles|fashion/.test(path)) return 'Models';
  if (/tasks|events|webhooks|retrieve|complete|^\/media/.test(path)) return 'Tasks';
  if (/keys/.test(path)) return 'Keys';
  return /usage|billing/.test(path) ? 'Usage' : 'Discovery';
}

function documented(route: RouteEntry, described: Described, site: Site): Schema {
  const { method, path, right } = route;
  const { summary, body, query } = described;
  const isPaid = right === 'infer';
  return {
    operationId: `${method}${path.replaceAll(/[^A-Za-z0-9]+(\w)/g, (_all, first: string) => first.toUpperCase())}`,
    summary,
    tags: [tagOf(route)],
    ...(right !== null && {
      description: `For: ${RIGHTS[right].join(', ')}.`,
      'x-callers': RIGHTS[right],
    }),
    ...((isPaid || isTopUp(route)) && { 'x-payment-info': paymentInfo(route, site) }),
    security: right === null ? [] : securityOf(right),
    parameters: [
      ...pathParameters(path),
      ...queryParameters(query),
      ...(route.operation?.mints || isPaid ? [IDEMPOTENCY] : []),
    ],
    ...(body && { requestBody: requestBody(body, described, site.catalogue.models()) }),
    responses: responsesOf(route, described),
  };
}

function isTopUp({ path }: RouteEntry): boolean {
  return path.endsWith('/top-up');
}

/** How discovery of x402 resources reads a price: what one call may cost, in US dollars; the 402 says what this one does. */
function paymentInfo(route: RouteEntry, { config }: Site): Schema {
  const least = isTopUp(route) ? config.minimumTopUp : config.inlineMinimum;
  return {
    price: {
      mode: 'dynamic',
      currency: 'USD',
      min: formatUsd(least),
      max: formatUsd(config.maximumTopUp),
    },
    protocols: [{ x402: {} }],
  };
}

function requestBody(body: z.ZodType, described: Described, sold: readonly ModelConfig[]): Schema {
  const { bodyTypes = [JSON_TYPE] } = described;
  const schema = schemaOf(body);
  const example = exampleOf(described, sold);
  const content = bodyTypes.map((type) => [
    type,
    { schema, ...(example && type === JSON_TYPE && { example }) },
  ]);
  return { required: true, content: Object.fromEntries(content) as Schema };
}

function responsesOf(route: RouteEntry, described: Described): Schema {
  const { right, path } = route;
  const { status = 200, answer, answerTypes = [] } = described;
  const page = answerTypes.includes(HTML) && { [HTML]: { schema: { type: 'string' } } };
  const fault = { ...json(ref(errorName(path))), ...page };
  const types = answerTypes.map((type) => [type, { schema: { type: 'string' } }]);
  const content = {
    ...(answer && json(schemaOf(answer, 'output'))),
    ...(Object.fromEntries(types) as Schema),
  };
  const priced = right === 'infer' || isTopUp(route);
  const isGiven = Object.keys(content).length > 0;
  return {
    ...(isMovedOn(path)
      ? { 410: { description: 'Another route took its place', content: fault } }
      : { [status]: { description: 'Done', ...(isGiven && { content }) } }),
    ...(described.body && { 400: { description: 'The body is wrong', content: fault } }),
    ...(right !== null && { 401: { description: 'The credential is wrong', content: fault } }),
    ...(priced && {
      402: {
        description: 'What to pay, and how',
        headers: { 'PAYMENT-REQUIRED': { schema: { type: 'string' } } },
        content: json({ anyOf: [ref('PaymentRequired'), ref(errorName(path))] }),
      },
    }),
    default: { description: 'An error', content: fault },
  };
}

/** Venice took this page away; it says where to look. */
function isMovedOn(path: string): boolean {
  return path === '/api/v1/billing/usage';
}

const IDEMPOTENCY: Schema = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

function securityOf(right: keyof typeof RIGHTS): Schema[] {
  const roles = RIGHTS[right];
  const keys = roles.some((role) => role !== 'wallet') ? [{ bearer: [] }, { apiKey: [] }] : [];
  const wallet = roles.includes('wallet') ? [{ siwx: [] }] : [];
  return [...keys, ...wallet, ...(right === 'infer' ? [{ x402: [] }] : [])];
}

function pathParameters(path: string): Schema[] {
  return [...path.matchAll(/[:*](\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType | undefined): Schema[] {
  if (!query) return [];
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function json(schema: Schema): Schema {
  return { [JSON_TYPE]: { schema } };
}

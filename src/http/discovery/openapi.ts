/** GET /openapi.json: what the management routes take and answer, from the very schemas that check them. */
import { z } from 'zod';
import { RIGHTS } from '../../auth/rights.ts';
import type { Operation } from '../operation.ts';
import { type Context, sendJson } from '../request.ts';
import type { RouteEntry } from '../router.ts';

type Schema = Record<string, unknown>;

/** The document is made once, when it is first asked for: the table is complete by then. */
export function openapi(table: readonly RouteEntry[]) {
  let document: Schema | null = null;
  return (ctx: Context): void => {
    document ??= openapiDocument(table);
    sendJson(ctx, 200, { ...document, servers: [{ url: ctx.state.origin }] });
  };
}

export function openapiDocument(table: readonly RouteEntry[]): Schema {
  const paths: Record<string, Schema> = {};
  for (const { method, path, operation } of table) {
    if (!operation) continue;
    const named = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[named] = { ...paths[named], [method]: documented(method, path, operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Farebox',
      version: '1',
      description: 'AI by the call for wallets and API keys. Errors are listed in docs/errors.md.',
    },
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        siwx: {
          type: 'apiKey',
          in: 'header',
          name: 'SIGN-IN-WITH-X',
          description: 'A wallet’s signed sign-in message (SIWE or Solana), base64 of JSON',
        },
      },
      schemas: { VeniceError: VENICE_ERROR, Error: V1_ERROR },
    },
  };
}

const V1_ERROR: Schema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'code'],
      properties: {
        message: { type: 'string' },
        type: { const: 'gateway_error' },
        code: { type: 'string' },
        details: { type: 'object' },
      },
    },
  },
};

const VENICE_ERROR: Schema = {
  type: 'object',
  required: ['error', 'code'],
  properties: {
    error: { type: 'string' },
    code: { type: 'string' },
    details: { type: 'object' },
  },
};

function documented(method: string, path: string, operation: Operation): Schema {
  const { summary, right, query, body, answer, status = 200, mints } = operation;
  const dialect = path.startsWith('/api/') || path.startsWith('/x402') ? 'VeniceError' : 'Error';
  const fault = json({ $ref: `#/components/schemas/${dialect}` });
  return {
    operationId: `${method}${path.replaceAll(/[^A-Za-z0-9]+(\w)/g, (_all, first: string) => first.toUpperCase())}`,
    summary,
    ...(right !== null && { description: `For: ${RIGHTS[right].join(', ')}.` }),
    security: right === null ? [] : securityOf(right),
    parameters: [
      ...pathParameters(path),
      ...queryParameters(query),
      ...(mints ? [IDEMPOTENCY] : []),
    ],
    ...(body && { requestBody: { required: true, content: json(schemaOf(body)) } }),
    responses: {
      [status]: {
        description: 'Done',
        ...(answer && { content: json(schemaOf(answer, 'output')) }),
      },
      default: { description: 'An error', content: fault },
    },
  };
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
  return roles.includes('wallet') ? [...keys, { siwx: [] }] : keys;
}

function pathParameters(path: string): Schema[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
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
  return { 'application/json': { schema } };
}

/** `input`: as callers write it, before defaults are filled in. */
function schemaOf(type: z.ZodType, io: 'input' | 'output' = 'input'): Schema {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(type, { io, unrepresentable: 'any' });
  return schema;
}

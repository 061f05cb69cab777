/** Answers held against the schemas of an OpenAPI 3.0 document that somebody else wrote. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import { parse } from 'yaml';

interface Document {
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Record<string, unknown> };
}

interface DocumentedOperation {
  requestBody?: { content: Content };
  responses: Record<string, { content?: Content }>;
}

type Content = Record<string, { schema: unknown }>;

export interface DocumentedApi {
  /** Fails the test unless the body is what the document says of this status. */
  expectAnswer(method: string, path: string, status: number, body: unknown): void;
  /** Whether the document allows this request body. */
  allowsBody(method: string, path: string, body: unknown): boolean;
}

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** `file`: a YAML file under test/fixtures. */
export function documentedApi(file: string): DocumentedApi {
  const text = readFileSync(new URL(`../fixtures/${file}`, import.meta.url), 'utf8');
  const document = parse(text) as Document;
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    formats: { 'date-time': DATE_TIME, uri: true },
  });
  const schemas = modern(document.components.schemas);
  const compile = (schema: unknown) =>
    ajv.compile({ ...(modern(schema) as object), components: { schemas } });
  const operationOf = (method: string, path: string) => {
    const found = document.paths[path]?.[method];
    if (!found) throw new Error(`${file} has no ${method} ${path}`);
    return found;
  };
  return {
    expectAnswer: (method, path, status, body) => {
      const schema = operationOf(method, path).responses[status]?.content?.['application/json']
        ?.schema;
      if (!schema) throw new Error(`${file} has no answer ${status} of ${method} ${path}`);
      const check = compile(schema);
      check(body);
      expect(check.errors ?? []).toEqual([]);
    },
    allowsBody: (method, path, body) => {
      const schema = operationOf(method, path).requestBody?.content['application/json']?.schema;
      if (!schema) throw new Error(`${file} has no body of ${method} ${path}`);
      return compile(schema)(body);
    },
  };
}

/** OpenAPI 3.0 says `nullable`, JSON Schema says null: an untyped branch that is nullable means null and nothing else. */
function modern(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(modern);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { nullable, ...rest } = schema as Record<string, unknown>;
  const entries = Object.entries(withBounds(rest)).filter(([name]) => name !== 'example');
  const plain: Record<string, unknown> = Object.fromEntries(
    entries.map(([name, value]) => [name, modern(value)]),
  );
  if (nullable !== true) return plain;
  const isTyped = ['type', 'anyOf', 'oneOf', 'allOf', '$ref'].some((name) => name in plain);
  return isTyped ? { anyOf: [plain, { type: 'null' }] } : { type: 'null' };
}

/** OpenAPI 3.0 says whether a bound is part of the range, JSON Schema has another bound for that. */
function withBounds(schema: Record<string, unknown>): Record<string, unknown> {
  const { maximum, minimum, ...rest } = schema;
  const { exclusiveMaximum: isBelow, exclusiveMinimum: isAbove, ...plain } = rest;
  if (typeof isBelow !== 'boolean' && typeof isAbove !== 'boolean') return schema;
  return {
    ...plain,
    ...(maximum !== undefined && { [isBelow === true ? 'exclusiveMaximum' : 'maximum']: maximum }),
    ...(minimum !== undefined && { [isAbove === true ? 'exclusiveMinimum' : 'minimum']: minimum }),
  };
}

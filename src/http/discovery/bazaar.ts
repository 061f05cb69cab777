/**
 * What a 402 says of itself to catalogues of paid resources: the x402 extension "bazaar" (version 2), an example of the request and a
 * schema that the example fits. Small, because it goes into a header; the whole is in /openapi.json.
 */
import { z } from 'zod';
import type { ModelConfig } from '../../config/config.ts';
import { type Described, exampleOf, FORM, JSON_TYPE } from './described.ts';
import { PLAIN } from './plain.ts';
import { SALES } from './sales.ts';

/** Longer texts in an example are pictures. */
const MOST_TEXT = 200;
const TOP_UP = 'post /api/v1/x402/top-up';

export type Bazaar = Readonly<Record<string, unknown>>;

/** Of one kind of resource; made once for each catalogue. */
export class BazaarEntries {
  readonly #sold: () => readonly ModelConfig[];
  readonly #revision: () => number;
  #madeAt = -1;
  readonly #byPath = new Map<string, Bazaar | null>();

  constructor(catalogue: { models(): readonly ModelConfig[]; revision: number }) {
    this.#sold = () => catalogue.models();
    this.#revision = () => catalogue.revision;
  }

  /** By a request's path; null where nothing is known of it. */
  of(path: string): Bazaar | null {
    const revision = this.#revision();
    if (this.#madeAt !== revision) {
      this.#madeAt = revision;
      this.#byPath.clear();
    }
    const known = this.#byPath.get(path);
    if (known !== undefined) return known;
    const described = describedAt(path);
    // Paths of requests are not kept: there are as many of those as callers like.
    if (!described) return null;
    const made = bazaar(described, this.#sold());
    this.#byPath.set(path, made);
    return made;
  }
}

function describedAt(path: string): Described | undefined {
  if (path.endsWith('/x402/top-up') || path === '/x402/top-up') return PLAIN[TOP_UP];
  return SALES[path];
}

function bazaar(described: Described, sold: readonly ModelConfig[]): Bazaar {
  const { bodyTypes = [JSON_TYPE], answerExample } = described;
  const bodyType = bodyTypes.includes(JSON_TYPE) ? 'json' : 'form-data';
  const body = shortened(
    exampleOf(described, sold) ?? (bodyTypes.includes(FORM) ? { file: '…' } : {}),
  );
  const output = answerExample && { output: { type: 'json', example: answerExample } };
  return {
    info: { input: { type: 'http', method: 'POST', bodyType, body }, ...output },
    schema: schemaOf(Object.keys(body)),
  };
}

function shortened(example: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(example).map(([name, value]) => {
    const isLong = JSON.stringify(value).length > MOST_TEXT;
    return [name, isLong ? (Array.isArray(value) ? ['…'] : '…') : value] as const;
  });
  return Object.fromEntries(entries);
}

function schemaOf(required: readonly string[]): Record<string, unknown> {
  const body = z.looseObject(Object.fromEntries(required.map((name) => [name, z.unknown()])));
  const input = z.strictObject({
    type: z.literal('http'),
    method: z.enum(['POST']),
    bodyType: z.enum(['json', 'form-data']),
    body,
  });
  const output = z.looseObject({ type: z.string() }).optional();
  return z.toJSONSchema(z.looseObject({ input, output }));
}

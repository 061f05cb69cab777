/** What a route takes and answers, for readers: of management routes the operation itself, of the others a description beside them. */
import type { z } from 'zod';
import type { ModelConfig } from '../../config/config.ts';

export interface Described {
  summary: string;
  body?: z.ZodType;
  query?: z.ZodType;
  /** Of a JSON answer; null where the answer is no JSON. */
  answer: z.ZodType | null;
  /** Of a good answer; 200 where this is left out. */
  status?: number;
  /** How the body may come; JSON alone where this is left out. */
  bodyTypes?: readonly string[];
  /** What a good answer may be besides JSON, or instead of it. */
  answerTypes?: readonly string[];
  /** Types of models that it is asked of: the first that is sold stands in the example. */
  types?: readonly ModelConfig['type'][];
  /** A body that works; `model` is filled in. */
  example?: Record<string, unknown>;
  /** Of a good answer, in short, for catalogues of paid resources. */
  answerExample?: Record<string, unknown>;
}

export const JSON_TYPE = 'application/json';
export const FORM = 'multipart/form-data';
export const EVENTS = 'text/event-stream';
export const MARKDOWN = 'text/markdown';
export const HTML = 'text/html';

/** `/v1/models/*id` and `/v1/tasks/:id`, as documents write it. */
export function documentedPath(path: string): string {
  return path.replaceAll(/[:*](\w+)/g, '{$1}');
}

const models = { text: 'chat', embedding: 'embedding' };

/** The model that an example names: one that is sold, so that the example works as it stands. */
export function modelFor(
  { types }: Pick<Described, 'types'>,
  sold: readonly Pick<ModelConfig, 'id' | 'type'>[],
): string | null {
  const [first] = types ?? [];
  if (first === undefined) return null;
  const found = sold.find(({ type }) => types!.includes(type));
  return found?.id ?? `a-${models[first as keyof typeof models] ?? first}-model`;
}

export function exampleOf(
  described: Described,
  sold: readonly Pick<ModelConfig, 'id' | 'type'>[],
): Record<string, unknown> | null {
  const { example } = described;
  if (!example) return null;
  const model = modelFor(described, sold);
  return model === null || 'model' in example ? example : { model, ...example };
}

/**
 * Filling in the templates of `task-http`. "{prompt}" alone becomes the value with its kind, or leaves its place out where there is none;
 * within a text it becomes text. "{image!}" leaves out the object around it. Filters: text, s ("5s"), ms, bare (base64 without the head of
 * a data: URL), map:NAME, or:VALUE (where there is none).
 */
import type { Scalar, Template } from '../../config/task-http.ts';
import type { Fields } from '../media.ts';
import { at, isFields } from './read.ts';

export interface Filling {
  /** By name, or by a pointer into the answer before. */
  value(name: string): unknown;
  maps: Readonly<Record<string, Record<string, Scalar>>>;
}

const PLACE = /\{([^{}|!]+)((?:\|[^{}|!]+)*)(!?)\}/g;
const WHOLE = /^\{([^{}|!]+)((?:\|[^{}|!]+)*)(!?)\}$/;
const MAX_DEPTH = 16;
export const FILTERS = ['text', 's', 'ms', 'bare', 'map', 'or'] as const;

/** Where a value that must be there is not. */
class Absent extends Error {}

export function fill(template: Template, filling: Filling, depth = MAX_DEPTH): unknown {
  if (depth === 0) return undefined;
  if (typeof template === 'string') return fillText(template, filling);
  if (template === null || typeof template !== 'object') return template;
  if (Array.isArray(template)) {
    return (template as readonly Template[])
      .map((item) => fill(item, filling, depth - 1))
      .filter((item) => item !== undefined);
  }
  try {
    const members = Object.entries(template as Record<string, Template>).map(
      ([name, inner]) => [name, fill(inner, filling, depth - 1)] as const,
    );
    const found = members.filter(([, value]) => value !== undefined);
    // An object of which nothing is left was about something that is not there.
    return members.length > 0 && found.length === 0 ? undefined : Object.fromEntries(found);
  } catch (error) {
    if (error instanceof Absent) return undefined;
    throw error;
  }
}

/** A path: every value is one segment or one query value, never more. A value that is missing leaves nothing. */
export function fillPath(path: string, filling: Filling): string {
  return path.replace(PLACE, (_, name: string, filters: string) => {
    const value = filtered(filling.value(name), filters, filling);
    return isScalar(value) ? encodeURIComponent(value) : '';
  });
}

/** The names of a template's places, for the configuration. */
export function placesIn(template: Template): { name: string; filters: string[] }[] {
  if (typeof template === 'string') {
    return Array.from(template.matchAll(PLACE), ([, name, filters]) => ({
      name: name!,
      filters: filters!.split('|').slice(1),
    }));
  }
  if (template === null || typeof template !== 'object') return [];
  return Object.values(template as Record<string, Template>).flatMap(placesIn);
}

function fillText(text: string, filling: Filling): unknown {
  const whole = WHOLE.exec(text);
  if (whole) {
    const value = filtered(filling.value(whole[1]!), whole[2]!, filling);
    if (isNothing(value) && whole[3] === '!') throw new Absent();
    return isNothing(value) ? undefined : value;
  }
  return text.replace(PLACE, (_, name: string, filters: string) => {
    const value = filtered(filling.value(name), filters, filling);
    return isScalar(value) ? String(value) : '';
  });
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}

function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function filtered(value: unknown, filters: string, { maps }: Filling): unknown {
  return filters
    .split('|')
    .slice(1)
    .reduce<unknown>((current, filter) => {
      if (filter.startsWith('or:')) return isNothing(current) ? scalarOf(filter.slice(3)) : current;
      if (isNothing(current)) return undefined;
      if (Array.isArray(current))
        return (current as unknown[]).map((item) => applied(item, filter, maps));
      return applied(current, filter, maps);
    }, value);
}

/** "false" and "2" are what they look like. */
function scalarOf(text: string): Scalar {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function applied(value: unknown, filter: string, maps: Filling['maps']): unknown {
  switch (filter) {
    case 'text':
      return String(value);
    case 's':
      return `${String(value)}s`;
    case 'ms':
      return Math.round(Number(value) * 1_000);
    case 'bare': {
      const text = String(value);
      return text.startsWith('data:') ? text.slice(text.indexOf(',') + 1) : text;
    }
    default: {
      const table = maps[filter.replace(/^map:/, '')];
      return table && Object.hasOwn(table, String(value)) ? table[String(value)] : undefined;
    }
  }
}

/** Every value at a JSON pointer in which `*` is every item of a list. */
export function valuesAt(answer: unknown, pointer: string): unknown[] {
  const names = pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  let found: unknown[] = [answer];
  for (const name of names) {
    found = found.flatMap((value) => {
      if (name !== '*') return [at(value, name)];
      if (Array.isArray(value)) return value as unknown[];
      return isFields(value) ? Object.values(value as Fields) : [];
    });
  }
  return found.filter((value) => value !== undefined && value !== null);
}

/** The file's shape, by the JSON Schema that ships: one source for its rules, its defaults and editors. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import schema from '../../config/farebox.schema.json' with { type: 'json' };
import { type Faults, type Path, keyText, nearest } from './fault.ts';
import type { RawFile } from './raw.ts';

interface Node {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Node>;
  additionalProperties?: boolean | Node;
  items?: Node;
}

const DEFINITIONS = schema.definitions as unknown as Record<string, Node | undefined>;
let compiled: ValidateFunction | undefined;

/** Fills defaults into `data`, names what is wrong, and takes it out, so that the rest can be checked too. */
export function applySchema(data: Record<string, unknown>, faults: Faults): RawFile {
  compiled ??= compile();
  if (!compiled(data)) {
    const errors = compiled.errors ?? [];
    // Mistyped names first: what is missing only because of them is no fault of its own.
    const isName = (error: ErrorObject) => error.keyword === 'additionalProperties';
    for (const error of errors.filter(isName)) report(error, faults);
    for (const error of errors.filter((other) => !isName(other))) report(error, faults);
    for (const error of errors) remove(data, error);
    // Once more, for the defaults of what was taken out.
    compiled(data);
  }
  return data as unknown as RawFile;
}

function compile(): ValidateFunction {
  const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, allowUnionTypes: true });
  ajv.addKeyword({ keyword: 'x-right', schemaType: 'string' });
  return ajv.compile(schema);
}

function report(error: ErrorObject, faults: Faults): void {
  const path = pathOf(error);
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty']);
      const known = Object.keys((error.parentSchema as Node | undefined)?.properties ?? {});
      const meant = nearest(key, known);
      const block = error.data as Record<string, unknown>;
      if (meant !== null && !(meant in block)) faults.silence([...path, meant]);
      const hint = meant === null ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`;
      return faults.add([...path, key], `there is no setting ${keyText(key)} here; ${hint}`);
    }
    case 'required': {
      const key = String(error.params['missingProperty']);
      return faults.add([...path, key], `is missing; it must be ${expected(property(error, key))}`);
    }
    default:
      return faults.add(path, `must be ${expected(error.parentSchema)}`);
  }
}

function property(error: ErrorObject, key: string): unknown {
  return resolve((error.parentSchema as Node | undefined)?.properties?.[key]);
}

/** What a part of the schema wants, in words. */
function expected(part: unknown): string {
  const {
    'x-right': right,
    enum: values,
    type,
    minimum,
    maximum,
    maxItems,
  } = (part ?? {}) as {
    'x-right'?: string;
    enum?: string[];
    type?: string | string[];
    minimum?: number;
    maximum?: number;
    maxItems?: number;
  };
  if (right !== undefined) return right;
  if (values)
    return values.length === 1 ? `${values[0]} in this release` : `one of ${values.join(', ')}`;
  switch (type) {
    case 'integer':
      return `a whole number from ${minimum} to ${maximum}`;
    case 'array':
      return `a list${maxItems === undefined ? '' : ` of at most ${maxItems}`}`;
    case 'object':
      return 'a block of settings';
    default:
      return 'text';
  }
}

function remove(data: Record<string, unknown>, error: ErrorObject): void {
  if (error.keyword === 'required') return;
  const path = pathOf(error);
  if (error.keyword === 'additionalProperties')
    path.push(String(error.params['additionalProperty']));
  const last = path.pop();
  let parent: unknown = data;
  for (const part of path) {
    if (typeof parent !== 'object' || parent === null) return;
    parent = (parent as Record<string | number, unknown>)[part];
  }
  if (typeof parent !== 'object' || parent === null || last === undefined) return;
  // A list keeps its places, so that later faults name the right one.
  if (Array.isArray(parent)) parent[Number(last)] = undefined;
  else delete (parent as Record<string, unknown>)[last];
}

/** A JSON pointer as a path. Numbers are places in lists: no block of the file has a number as its key. */
function pathOf(error: ErrorObject): (string | number)[] {
  return error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^[0-9]+$/.test(part) ? Number(part) : part));
}

function resolve(node: Node | undefined): Node | undefined {
  const name = node?.$ref?.replace('#/definitions/', '');
  return name === undefined ? node : DEFINITIONS[name];
}

/** Whether the schema wants a whole number there: variables hold text, so those are turned into numbers first. */
export function wantsInteger(path: Path): boolean {
  let node: Node | undefined = schema as Node;
  for (const part of path) {
    const { items, properties, additionalProperties }: Node = node ?? {};
    const rest = typeof additionalProperties === 'object' ? additionalProperties : undefined;
    node = resolve(typeof part === 'number' ? items : (properties?.[part] ?? rest));
  }
  return node?.type === 'integer';
}

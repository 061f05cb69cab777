/** The file's shape, by the JSON Schema that ships: one source for its rules, its defaults and editors. */
import schema from '../../config/farebox.schema.json' with { type: 'json' };
import { type Faults, type Path, keyText, nearest } from './fault.ts';
import type { RawFile } from './raw.ts';
import { type Schema, Shape, type ShapeError } from './shape.ts';

const DEFINITIONS = schema.definitions as unknown as Record<string, Schema | undefined>;
const SHAPE = new Shape(schema as unknown as Schema);

/** Fills defaults into `data`, names what is wrong, and takes it out, so that the rest can be checked too. */
export function applySchema(data: Record<string, unknown>, faults: Faults): RawFile {
  const errors = SHAPE.check(data);
  if (errors.length) {
    // Mistyped names first: what is missing only because of them is no fault of its own.
    const isName = (error: ShapeError) => error.keyword === 'additionalProperties';
    for (const error of errors.filter(isName)) report(error, faults);
    for (const error of errors.filter((other) => !isName(other))) report(error, faults);
    for (const error of errors) remove(data, error);
    // Once more, for the defaults of what was taken out.
    SHAPE.check(data);
  }
  return data as unknown as RawFile;
}

function report({ keyword, path: to, schema: part, data, name }: ShapeError, faults: Faults): void {
  // Numbers are shown as places in lists, also those of the few blocks that have them as keys.
  const path = to.map((key) => (/^[0-9]+$/.test(String(key)) ? Number(key) : key));
  switch (keyword) {
    case 'additionalProperties': {
      const known = Object.keys(part.properties ?? {});
      const meant = nearest(name, known);
      if (meant !== null && !(meant in (data as object))) faults.silence([...path, meant]);
      const hint = meant === null ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`;
      return faults.add([...path, name], `there is no setting ${keyText(name)} here; ${hint}`);
    }
    case 'required': {
      const missing = resolve(part.properties?.[name]);
      return faults.add([...path, name], `is missing; it must be ${expected(missing)}`);
    }
    default:
      return faults.add(path, `must be ${expected(part)}`);
  }
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

function remove(data: Record<string, unknown>, { keyword, path: to, name }: ShapeError): void {
  if (keyword === 'required') return;
  const path = keyword === 'additionalProperties' ? [...to, name] : [...to];
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

function resolve(node: Schema | undefined): Schema | undefined {
  const name = node?.$ref?.replace('#/definitions/', '');
  return name === undefined ? node : DEFINITIONS[name];
}

/** Whether the schema wants a whole number there: variables hold text, so those are turned into numbers first. */
export function wantsInteger(path: Path): boolean {
  let node: Schema | undefined = schema as unknown as Schema;
  for (const part of path) {
    const { items, properties, additionalProperties }: Schema = node ?? {};
    const rest = typeof additionalProperties === 'object' ? additionalProperties : undefined;
    node = resolve(typeof part === 'number' ? items : (properties?.[part] ?? rest));
  }
  return node?.type === 'integer';
}

/**
 * Checks data against a JSON Schema, as far as ours uses the language, and fills its defaults in. A general validator compiles such a
 * schema to code first, which takes longer than the rest of reading the settings; test/config/shape.test.ts holds this one against it.
 */

export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: readonly unknown[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  items?: Schema;
  minProperties?: number;
  maxProperties?: number;
  required?: string[];
  propertyNames?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
}

export interface ShapeError {
  keyword: string;
  path: (string | number)[];
  /** The part of the schema that is broken. */
  schema: Schema;
  data: unknown;
  /** Of required and additionalProperties: the name that is missing, or too much. */
  name: string;
}

type Definitions = Readonly<Record<string, Schema | undefined>>;
type Path = ShapeError['path'];
type Data = Record<string, unknown>;

const DEFINITION = '#/definitions/';

export class Shape {
  readonly #schema: Schema;
  readonly #definitions: Definitions;
  readonly #patterns = new Map<string, RegExp>();
  #errors: ShapeError[] = [];

  constructor(schema: Schema & { definitions?: Definitions }) {
    this.#schema = schema;
    this.#definitions = schema.definitions ?? {};
  }

  /** Everything that is wrong, in the order of the schema's rules. Defaults are put into `data`. */
  check(data: unknown): ShapeError[] {
    this.#errors = [];
    this.#visit(this.#schema, data, []);
    return this.#errors;
  }

  #visit(schema: Schema, data: unknown, path: Path): void {
    if (schema.$ref !== undefined) {
      const meant = this.#definitions[schema.$ref.replace(DEFINITION, '')];
      if (!meant) throw new Error(`the schema has no definition ${schema.$ref}`);
      this.#visit(meant, data, path);
    }
    const refuse = (keyword: string, name = '') =>
      void this.#errors.push({ keyword, path, schema, data, name });
    if (!isOfType(schema.type, data)) return refuse('type');
    if (schema.enum && !schema.enum.includes(data)) refuse('enum');
    if (typeof data === 'number') checkNumber(schema, data, refuse);
    else if (typeof data === 'string') this.#checkText(schema, data, refuse);
    else if (Array.isArray(data)) this.#checkList(schema, data, path, refuse);
    else if (isObject(data)) this.#checkObject(schema, data, path, refuse);
  }

  #checkText({ minLength, maxLength, pattern }: Schema, data: string, refuse: Refuse): void {
    // As people count: a character outside the basic plane is one.
    const length = minLength === undefined && maxLength === undefined ? 0 : Array.from(data).length;
    if (maxLength !== undefined && length > maxLength) refuse('maxLength');
    if (minLength !== undefined && length < minLength) refuse('minLength');
    if (pattern !== undefined && !this.#pattern(pattern).test(data)) refuse('pattern');
  }

  #pattern(source: string): RegExp {
    const known = this.#patterns.get(source);
    if (known) return known;
    const made = new RegExp(source, 'u');
    this.#patterns.set(source, made);
    return made;
  }

  #checkList(
    { minItems, maxItems, items }: Schema,
    data: unknown[],
    path: Path,
    refuse: Refuse,
  ): void {
    if (maxItems !== undefined && data.length > maxItems) refuse('maxItems');
    if (minItems !== undefined && data.length < minItems) refuse('minItems');
    if (!items) return;
    for (const [index, item] of data.entries()) this.#visit(items, item, [...path, index]);
  }

  #checkObject(schema: Schema, data: Data, path: Path, refuse: Refuse): void {
    const { properties = {}, required = [], propertyNames, additionalProperties } = schema;
    for (const [name, { default: value }] of Object.entries(properties)) {
      if (data[name] === undefined && value !== undefined) data[name] = structuredClone(value);
    }
    const names = Object.keys(data);
    const { minProperties, maxProperties } = schema;
    if (maxProperties !== undefined && names.length > maxProperties) refuse('maxProperties');
    if (minProperties !== undefined && names.length < minProperties) refuse('minProperties');
    for (const name of required) if (data[name] === undefined) refuse('required', name);
    for (const name of propertyNames ? names : []) {
      if (this.#isWrong(propertyNames!, name)) refuse('propertyNames', name);
    }
    for (const name of names) {
      if (Object.hasOwn(properties, name)) continue;
      if (additionalProperties === false) refuse('additionalProperties', name);
      else if (typeof additionalProperties === 'object')
        this.#visit(additionalProperties, data[name], [...path, name]);
    }
    for (const [name, property] of Object.entries(properties)) {
      if (data[name] !== undefined) this.#visit(property, data[name], [...path, name]);
    }
  }

  #isWrong(schema: Schema, name: string): boolean {
    const errors = this.#errors;
    this.#errors = [];
    this.#visit(schema, name, []);
    const isWrong = this.#errors.length > 0;
    this.#errors = errors;
    return isWrong;
  }
}

type Refuse = (keyword: string, name?: string) => void;

function checkNumber(
  { minimum, maximum, exclusiveMinimum }: Schema,
  data: number,
  refuse: Refuse,
): void {
  if (maximum !== undefined && data > maximum) refuse('maximum');
  if (minimum !== undefined && data < minimum) refuse('minimum');
  if (exclusiveMinimum !== undefined && data <= exclusiveMinimum) refuse('exclusiveMinimum');
}

function isOfType(type: Schema['type'], data: unknown): boolean {
  if (type === undefined) return true;
  return typeof type === 'string' ? isA(type, data) : type.some((one) => isA(one, data));
}

function isA(type: string, data: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(data);
    case 'number':
      return Number.isFinite(data);
    case 'array':
      return Array.isArray(data);
    case 'object':
      return isObject(data);
    case 'null':
      return data === null;
    default:
      return typeof data === type;
  }
}

function isObject(data: unknown): data is Data {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}

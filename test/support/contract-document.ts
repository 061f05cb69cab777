/** An OpenAPI document of ours, read as a client generator would, and answers held against it. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Json } from './app.ts';

type Schema = Record<string, unknown>;
type Content = Record<string, { schema: Schema; example?: Record<string, unknown> }>;

export interface DocumentedOperation {
  summary: string;
  security: object[];
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { content: Content };
  responses: Record<string, { content?: Content }>;
  'x-callers'?: string[];
  'x-payment-info'?: { price: { mode: string; min: string; max: string } };
}

export interface ContractDocument {
  openapi: string;
  servers: { url: string }[];
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Record<string, Schema> };
}

export interface Got {
  status: number;
  type: string;
  json: Json;
}

export interface Contract {
  document: ContractDocument;
  /** Empty where the answer is what the document says of its status; else what is wrong. */
  faultsOf(operation: DocumentedOperation, got: Got): string;
  takes(operation: DocumentedOperation, body: unknown): boolean;
}

export function contractOf(document: ContractDocument): Contract {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  const { components } = document;
  const compiled = new WeakMap<Schema, ReturnType<typeof ajv.compile>>();
  const compile = (schema: Schema) => {
    const isWhole = !JSON.stringify(schema).includes('$ref');
    const check = compiled.get(schema) ?? ajv.compile(isWhole ? schema : { ...schema, components });
    compiled.set(schema, check);
    return check;
  };
  return {
    document,
    faultsOf: ({ responses }, { status, type, json }) => {
      const said = responses[status] ?? responses['default'];
      if (!said) return 'the status is not documented';
      const plain = type.split(';')[0]!;
      if (!said.content) return plain === '' ? '' : `no body is documented, this is ${plain}`;
      const names = Object.keys(said.content);
      const name = names.find((each) => isOf(plain, each));
      if (name === undefined) return `${plain} is none of ${names.join(', ')}`;
      if (name !== 'application/json') return '';
      const check = compile(said.content[name]!.schema);
      return check(json) ? '' : ajv.errorsText(check.errors);
    },
    takes: ({ requestBody }, body) =>
      compile(requestBody!.content['application/json']!.schema)(body) === true,
  };
}

function isOf(type: string, documented: string): boolean {
  return documented.endsWith('/*') ? type.startsWith(documented.slice(0, -1)) : type === documented;
}

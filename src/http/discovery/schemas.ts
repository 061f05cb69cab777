/** Schemas as the document writes them, and those of errors. */
import { z } from 'zod';

export type Schema = Record<string, unknown>;

/** `input`: as callers write it, before defaults are filled in. */
export function schemaOf(type: z.ZodType, io: 'input' | 'output' = 'input'): Schema {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(type, { io, unrepresentable: 'any' });
  return schema;
}

export function ref(name: keyof typeof COMPONENTS): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

const text = z.string();
const details = z.looseObject({}).optional();

const gatewayError = z.looseObject({
  error: z.looseObject({ message: text, type: z.literal('gateway_error'), code: text, details }),
});
/** The top-up route says the code as `error`, too, and the text as `message`. */
const veniceError = z.looseObject({
  error: text,
  code: text,
  message: text.optional(),
  details,
});
const anthropicError = z.looseObject({
  type: z.literal('error'),
  error: z.looseObject({ type: text, message: text }),
});
const requirement = z.looseObject({
  scheme: z.literal('exact'),
  network: text.describe('CAIP-2'),
  amount: text.describe('In the smallest unit of the asset'),
  asset: text,
  payTo: text,
  maxTimeoutSeconds: z.int(),
});
/** x402 version 2; the same, whole, is in the PAYMENT-REQUIRED header. */
const paymentRequired = z.looseObject({
  x402Version: z.literal(2),
  accepts: z.array(requirement),
  resource: z.looseObject({ url: text }).optional(),
  extensions: z.looseObject({}).optional(),
});

export const COMPONENTS = {
  Error: schemaOf(gatewayError),
  VeniceError: schemaOf(veniceError),
  AnthropicError: schemaOf(anthropicError),
  PaymentRequired: schemaOf(paymentRequired),
};

/** By the path, as errors are told apart when they are answered. */
export function errorName(path: string): 'Error' | 'VeniceError' | 'AnthropicError' {
  if (path.startsWith('/api/') || path.startsWith('/x402')) return 'VeniceError';
  return path.startsWith('/v1/messages') ? 'AnthropicError' : 'Error';
}

/** Routes that cost nothing and are no operations: what they take and answer. By method and path. */
import { z } from 'zod';
import { messagesBody } from './sale-bodies.ts';
import { type Described, HTML, MARKDOWN } from './described.ts';

const alive: Described = {
  summary: 'Whether the server lives',
  answer: z.strictObject({ status: z.literal('ok') }),
};
const model = z.looseObject({ id: z.string(), object: z.literal('model'), type: z.string() });
const list = z.looseObject({ object: z.literal('list'), data: z.array(model) });
const names = z.looseObject({ data: z.record(z.string(), z.string()) });
const typed = z.strictObject({ type: z.string().optional().describe('Of models, or `all`') });
const success = <T extends z.ZodType>(data: T) =>
  z.strictObject({ success: z.literal(true), data });

const topUp: Described = {
  summary: 'Top up a prepaid balance by x402; without a payment it says what can be paid',
  query: z.strictObject({
    amount_usd: z
      .string()
      .regex(/^\d+(\.\d+)?$/)
      .optional()
      .describe('US dollars'),
  }),
  answer: success(
    z.strictObject({
      walletAddress: z.string(),
      amountCredited: z.number(),
      newBalance: z.number(),
      paymentId: z.string(),
    }),
  ),
  answerExample: { success: true, data: { amountCredited: 5, newBalance: 5 } },
};
const balance: Described = {
  summary: 'The balance of the wallet that signed in',
  answer: success(
    z.strictObject({
      walletAddress: z.string(),
      balanceUsd: z.number(),
      canConsume: z.boolean(),
      minimumTopUpUsd: z.number(),
      suggestedTopUpUsd: z.number(),
    }),
  ),
};
const transactions: Described = {
  summary: 'Top-ups, charges and refunds of the wallet that signed in, newest first',
  query: z.strictObject({
    limit: z.coerce.number().int().min(1).max(100).default(50),
    offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
  }),
  answer: success(
    z.strictObject({
      walletAddress: z.string(),
      currentBalance: z.number(),
      transactions: z.array(
        z.strictObject({
          id: z.string(),
          amount: z.number(),
          balanceAfter: z.number(),
          type: z.enum(['TOP_UP', 'CHARGE', 'REFUND']),
          createdAt: z.string(),
          requestId: z.string().nullable(),
          modelId: z.string().nullable(),
        }),
      ),
      pagination: z.strictObject({ limit: z.int(), offset: z.int(), hasMore: z.boolean() }),
    }),
  ),
};
const payment: Described = {
  summary: 'What became of a payment',
  answer: success(
    z.strictObject({
      id: z.string(),
      status: z.enum(['pending', 'settled', 'failed', 'expired', 'reversed']),
      network: z.string(),
      payer: z.string(),
      amountUsd: z.string(),
      transaction: z.string().nullable(),
      reason: z.string().nullable(),
      createdAt: z.string(),
      settledAt: z.string().nullable(),
    }),
  ),
};

const x402 = (prefix: string): Record<string, Described> => ({
  [`post ${prefix}/top-up`]: topUp,
  [`get ${prefix}/balance/:wallet`]: balance,
  [`get ${prefix}/transactions/:wallet`]: transactions,
  [`get ${prefix}/payments/:id`]: payment,
});
const object = z.looseObject({});

export const PLAIN: Readonly<Record<string, Described>> = {
  'get /health': alive,
  'get /api/health': alive,
  'get /ready': {
    summary: 'Whether the server serves: 503 while it starts, waits to be set up, or drains',
    answer: z.strictObject({ status: z.literal('ready') }),
  },
  'get /auth.md': {
    summary: 'How to pay and to sign in, for agents that read',
    answer: null,
    answerTypes: [MARKDOWN],
  },
  'get /openapi.json': { summary: 'This document', answer: object },
  'get /': {
    summary: 'What is sold, at which price, and how to pay',
    answer: object,
    answerTypes: [MARKDOWN, HTML],
  },
  'get /reference': { summary: 'This document, for people', answer: null, answerTypes: [HTML] },
  'get /site.css': { summary: 'How pages look', answer: null, answerTypes: ['text/css'] },
  'get /balance': {
    summary: 'The balance of a wallet, for people: the text to sign',
    query: z.strictObject({ wallet: z.string().optional() }),
    answer: null,
    answerTypes: [HTML],
  },
  'post /balance': {
    summary: 'The balance of a wallet, for people, by its signature of that text',
    body: z.looseObject({ wallet: z.string(), message: z.string(), signature: z.string() }),
    bodyTypes: ['application/x-www-form-urlencoded'],
    answer: null,
    answerTypes: [HTML],
  },
  'get /llms.txt': { summary: 'This server, for agents', answer: null, answerTypes: [MARKDOWN] },
  'get /.well-known/x402': { summary: 'What can be bought by x402', answer: object },
  'get /.well-known/x402.json': { summary: 'The same, under its other name', answer: object },
  'get /.well-known/api-catalog': {
    summary: 'The APIs of this server (RFC 9727)',
    answer: null,
    answerTypes: ['application/linkset+json'],
  },
  'get /v1/models': { summary: 'What is for sale, with prices', answer: list },
  'get /v1/models/*id': { summary: 'One model, with its price', answer: model },
  'get /api/v1/models': {
    summary: 'What is for sale, as Venice says it',
    query: typed,
    answer: list,
  },
  'get /api/v1/models/traits': { summary: 'The model of each role', query: typed, answer: names },
  'get /api/v1/models/compatibility_mapping': {
    summary: 'Other names of models',
    query: typed,
    answer: names,
  },
  'get /media/:id/:token/:name': {
    summary: 'A result of a task, by its link; ranges work',
    answer: null,
    answerTypes: ['image/*', 'video/*', 'audio/*', 'application/octet-stream'],
  },
  ...x402('/x402'),
  ...x402('/v1/x402'),
  ...x402('/api/v1/x402'),
  'post /v1/messages/count_tokens': {
    summary: 'How much input a message is counted as',
    body: messagesBody.omit({ max_tokens: true }),
    answer: z.strictObject({ input_tokens: z.int() }),
    types: ['text'],
    example: { messages: [{ role: 'user', content: 'Say hello.' }] },
  },
};

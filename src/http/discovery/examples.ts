/** Examples of management requests, and what they answer besides JSON. By method and path; ids are made up. */
import { type Described, EVENTS } from './described.ts';

type More = Partial<Pick<Described, 'example' | 'types' | 'answerTypes'>>;

const reason = 'Asked for by mail';
const FOUND = ['image/*', 'video/*', 'audio/*'];
const queued = { model: 'a-model', queue_id: 'task_…' };
const payout = { example: { amount_usd: '0.5' } };

export const EXAMPLES: Readonly<Record<string, More>> = {
  'get /v1/tasks/:id/events': { answerTypes: [EVENTS] },
  'get /v1/events': { answerTypes: [EVENTS] },
  'get /api/v1/billing/usage-history': { answerTypes: ['text/csv'] },

  'post /x402/payouts': payout,
  'post /v1/x402/payouts': payout,
  'post /api/v1/x402/payouts': payout,
  'post /api/v1/video/retrieve': { example: queued, answerTypes: FOUND },
  'post /api/v1/video/complete': { example: queued },
  'post /api/v1/audio/retrieve': { example: queued, answerTypes: FOUND },
  'post /api/v1/audio/complete': { example: queued },

  'post /v1/credits/estimate': {
    types: ['text', 'image', 'video', 'embedding', 'music', 'tts', 'stt'],
    example: { max_tokens: 500 },
  },
  'post /api/v1/video/quote': { types: ['video'], example: {} },
  'post /api/v1/audio/quote': { types: ['music', 'sound', 'tts'], example: {} },

  'post /api/v1/api_keys': { example: { apiKeyType: 'INFERENCE', description: 'My agent' } },
  'patch /api/v1/api_keys': { example: { id: 'key_…', description: 'My other agent' } },
  'post /api/v1/api_keys/generate_web3_key': {
    example: {
      apiKeyType: 'INFERENCE',
      description: 'My agent',
      address: '0x0000000000000000000000000000000000000001',
      token: 'Of GET /api/v1/api_keys/generate_web3_key',
      signature: '0x…',
    },
  },
  'post /api/v1/keys': { example: { label: 'My agent', limit: { usd: 5, period: 'MONTH' } } },
  'patch /api/v1/keys/:id': { example: { label: 'My other agent' } },
  'post /api/v1/provider-keys': { example: { provider: 'openai', key: 'sk-0000000000000000' } },

  'post /admin/api/accounts': { example: { label: 'A customer', reason } },
  'patch /admin/api/accounts/:id': { example: { label: 'Another name', reason } },
  'post /admin/api/accounts/:id/grants': { example: { amountUsd: '1', reason } },
  'post /admin/api/accounts/:id/adjustments': { example: { amountUsd: '-0.5', reason } },
  'post /admin/api/accounts/:id/adjustments/:adjustment/reverse': { example: { reason } },
  'post /admin/api/accounts/:id/payouts': { example: { amountUsd: '1', reason } },
  'post /admin/api/keys': { example: { label: 'A key of the house', reason } },
  'patch /admin/api/keys/:id': { example: { label: 'Another name', reason } },
  'patch /admin/api/channels/:id': { example: { isOn: true, reason } },
  'post /admin/api/payouts/:id/approve': { example: { reason } },
  'post /admin/api/payouts/:id/sent': { example: { transaction: '0x…', reason } },
  'post /admin/api/payouts/:id/cancel': { example: { reason } },
};

/** /api/v1/api_keys/generate_web3_key: an API key for whoever signs our token with a wallet. Nobody needs to be signed in. */
import { z } from 'zod';
import type { Web3Keys } from '../../auth/web3-key.ts';
import { principalName } from '../../auth/principal.ts';
import type { Keys } from '../../keys/keys.ts';
import { operation } from '../operation.ts';
import { createdAnswer, createdKey, createKeyBody, newKeyOf } from './api-keys.ts';

export interface Web3KeyRouteOptions {
  keys: Keys;
  web3Keys: Web3Keys;
}

const tokenAnswer = z.strictObject({
  success: z.boolean(),
  data: z.strictObject({ token: z.string() }),
});

export function web3Token({ web3Keys }: Web3KeyRouteOptions) {
  return operation({
    summary: 'A token for a wallet to sign',
    right: null,
    answer: tokenAnswer,
    run: async () => ({ success: true, data: { token: web3Keys.token() } }),
  });
}

const body = createKeyBody.extend({
  description: createKeyBody.shape.description.default('Web3 API Key'),
  address: z.string('must be the address of the wallet'),
  signature: z.string('must be the signature of the token'),
  token: z.string('must be the token that was signed'),
});

export function createWeb3Key({ keys, web3Keys }: Web3KeyRouteOptions) {
  return operation<z.infer<typeof body>>({
    summary: 'Create an API key of the wallet that signed the token',
    right: null,
    body,
    answer: createdKey,
    mints: true,
    run: async ({ body: said }) => {
      const { address, signature, token, ...key } = said;
      const wallet = await web3Keys.redeem({ address, signature, token });
      const actor = principalName({ kind: 'wallet', role: 'wallet', accountId: null, wallet });
      const created = await keys.create({ wallet, ...newKeyOf(key) }, { actor, isMetered: true });
      return createdAnswer(created);
    },
  });
}

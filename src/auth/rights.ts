/** Who may do what, in one table. Whatever is not here is nobody's. */
import { AppError } from '../errors.ts';
import type { Principal, Role } from './principal.ts';

export type Right =
  | 'infer' // call what is for sale
  | 'tasks' // see, follow and cancel tasks: an inference key its own and those of keys that it made
  | 'keys.read' // see keys: an inference key sees itself and those that it made
  | 'keys.mint' // make keys: an inference key makes narrower ones of itself
  | 'keys.change' // change and revoke keys: an inference key those that it made
  | 'keys.limits' // see its own rate limits
  | 'provider_keys' // store and remove keys of providers
  | 'usage' // what was used: an inference key by itself and those that it made
  | 'billing' // what the account was charged, in full
  | 'wallet.read' // balance and transactions of the wallet that owns the account
  | 'webhooks' // what callbacks are signed with, and what became of them
  | 'payouts.ask' // ask for unspent money back
  | 'admin'; // run the shop

export const RIGHTS: Record<Right, readonly Role[]> = {
  infer: ['operator', 'admin', 'inference', 'wallet'],
  tasks: ['operator', 'admin', 'inference', 'wallet'],
  'keys.read': ['operator', 'admin', 'inference', 'wallet'],
  'keys.mint': ['operator', 'admin', 'inference', 'wallet'],
  'keys.change': ['operator', 'admin', 'inference', 'wallet'],
  'keys.limits': ['operator', 'admin', 'inference', 'wallet'],
  provider_keys: ['operator', 'admin', 'wallet'],
  usage: ['operator', 'admin', 'inference', 'wallet'],
  billing: ['operator', 'admin', 'wallet'],
  'wallet.read': ['operator', 'admin', 'inference', 'wallet'],
  webhooks: ['operator', 'admin', 'wallet'],
  'payouts.ask': ['wallet'],
  admin: ['operator'],
};

/** Throws invalid_credential for nobody, forbidden for somebody who may not. */
export function requireRight(principal: Principal | null, right: Right): Principal {
  if (!principal) {
    throw new AppError(
      'invalid_credential',
      'Send an API key (Authorization: Bearer, or x-api-key) or sign in with SIGN-IN-WITH-X.',
    );
  }
  if (RIGHTS[right].includes(principal.role)) return principal;
  throw new AppError(
    'forbidden',
    `This needs the right "${right}", which ${who(principal)} lacks.`,
  );
}

function who({ role }: Principal): string {
  switch (role) {
    case 'operator':
    case 'admin':
      return 'an ADMIN key';
    case 'inference':
      return 'an INFERENCE key';
    case 'wallet':
      return 'a wallet';
  }
}

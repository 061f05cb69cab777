import { AppError } from '../errors.ts';

/** Why a sign-in does not hold; the reasons follow the x402 reference implementation. */
export type SignInReason =
  | 'malformed_header'
  | 'malformed_message'
  | 'malformed_signature'
  | 'version'
  | 'domain_mismatch'
  | 'uri_mismatch'
  | 'chain_id'
  | 'unsupported_chain'
  | 'address'
  | 'issued_at'
  | 'issued_at_too_old'
  | 'issued_at_in_future'
  | 'expiration_time'
  | 'expired'
  | 'not_yet_valid'
  | 'nonce'
  | 'nonce_already_used'
  | 'signature'
  | 'smart_wallet_unsupported';

export function refuse(
  reason: SignInReason,
  message: string,
  details: Record<string, unknown> = {},
): AppError {
  return new AppError('invalid_sign_in', message, { details: { reason, ...details } });
}

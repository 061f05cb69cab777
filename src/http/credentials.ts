/**
 * Which credentials a request carries. Counted in the raw headers: Node keeps the first of some doubled headers and joins others,
 * and a proxy in front may have looked at another one than we would.
 */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';
import { PAYMENT_HEADERS } from '../payments/header.ts';

export interface Credentials {
  /** Bearer or x-api-key. */
  apiKey: string | null;
  signIn: string | null;
  payments: { name: string; value: string }[];
}

export const SIGN_IN_HEADERS: readonly string[] = ['sign-in-with-x', 'x-sign-in-with-x'];
const WATCHED = new Set([
  'host',
  'authorization',
  'x-api-key',
  ...SIGN_IN_HEADERS,
  ...PAYMENT_HEADERS,
]);
const BEARER = /^Bearer +(\S+) *$/i;

const NONE: Credentials = { apiKey: null, signIn: null, payments: [] };

/** Throws AppError where a header that decides who pays is there twice, or two of them disagree. */
export function readCredentials({ rawHeaders }: IncomingMessage): Credentials {
  let found: Map<string, string> | null = null;
  let hasHost = false;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase();
    if (!WATCHED.has(name)) continue;
    if (name === 'host') {
      if (hasHost) throw doubled(name);
      hasHost = true;
      continue;
    }
    found ??= new Map();
    if (found.has(name)) throw doubled(name);
    found.set(name, rawHeaders[index + 1]!);
  }
  return found ? credentialsIn(found) : NONE;
}

function credentialsIn(found: Map<string, string>): Credentials {
  return {
    apiKey: apiKeyOf(found.get('authorization'), found.get('x-api-key')),
    signIn: signInOf(SIGN_IN_HEADERS.flatMap((name) => found.get(name) ?? [])),
    payments: PAYMENT_HEADERS.flatMap((name) => {
      const value = found.get(name);
      return value === undefined ? [] : [{ name, value }];
    }),
  };
}

function doubled(name: string): AppError {
  const message = `${name}: must be there once.`;
  const details = { reason: 'duplicate_header' };
  if (name === 'host') return new AppError('invalid_request', message);
  if (PAYMENT_HEADERS.includes(name)) return new AppError('invalid_payment', message, { details });
  if (SIGN_IN_HEADERS.includes(name)) return new AppError('invalid_sign_in', message, { details });
  return new AppError('invalid_credential', message);
}

function apiKeyOf(authorization: string | undefined, header: string | undefined): string | null {
  const bearer = authorization === undefined ? null : BEARER.exec(authorization)?.[1];
  if (bearer === undefined) {
    throw new AppError('invalid_credential', 'Authorization: must be "Bearer" and an API key.');
  }
  if (header === '') throw new AppError('invalid_credential', 'x-api-key: must hold an API key.');
  if (bearer !== null && header !== undefined && bearer !== header) {
    throw new AppError('invalid_credential', 'Authorization and x-api-key carry different keys.');
  }
  return bearer ?? header ?? null;
}

function signInOf(values: string[]): string | null {
  const [first, second] = values;
  if (second !== undefined && second !== first) {
    throw new AppError('invalid_sign_in', 'SIGN-IN-WITH-X and X-Sign-In-With-X differ.', {
      details: { reason: 'duplicate_header' },
    });
  }
  return first ?? null;
}

/** A short-lived token made of an access key and a secret key (JWT, HS256), as Kling wants it. */
import { createHmac } from 'node:crypto';

const EARLY_SECONDS = 5;

export function signedToken(
  { issuer, secret, ttlSeconds }: { issuer: string; secret: string; ttlSeconds: number },
  nowMs: number,
): string {
  const now = Math.floor(nowMs / 1_000);
  const head = encoded({ alg: 'HS256', typ: 'JWT' });
  const body = encoded({ iss: issuer, exp: now + ttlSeconds, nbf: now - EARLY_SECONDS });
  const signature = createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url');
  return `${head}.${body}.${signature}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

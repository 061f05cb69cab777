/**
 * Signed requests to Coinbase's facilitator: one short JWT per call, bound to method, host and path. Source: CDP's API key
 * documentation; secrets come as base64 of 64 bytes (Ed25519: seed, then public key) or as a PEM of a P-256 key.
 */
import { type KeyObject, createPrivateKey, randomBytes, sign } from 'node:crypto';

const LIFETIME_SECONDS = 120;

export interface CdpKey {
  keyId: string;
  keySecret: string;
}

/** Reads the secret once; throws an Error that does not show it. */
export function cdpSigner({
  keyId,
  keySecret,
}: CdpKey): (method: string, url: URL, nowMs: number) => string {
  const key = readKey(keySecret);
  const isEd25519 = key.asymmetricKeyType === 'ed25519';
  return (method, url, nowMs) => {
    const now = Math.floor(nowMs / 1_000);
    const header = {
      alg: isEd25519 ? 'EdDSA' : 'ES256',
      kid: keyId,
      typ: 'JWT',
      nonce: randomBytes(16).toString('hex'),
    };
    const claims = {
      sub: keyId,
      iss: 'cdp',
      aud: ['cdp_service'],
      uris: [`${method} ${url.host}${url.pathname}`],
      iat: now,
      nbf: now,
      exp: now + LIFETIME_SECONDS,
    };
    const text = `${base64url(header)}.${base64url(claims)}`;
    const signature = isEd25519
      ? sign(null, Buffer.from(text), key)
      : sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  };
}

function readKey(secret: string): KeyObject {
  // Environment files often carry a PEM on one line, its line breaks spelled \n.
  const text = secret.trim().replaceAll('\\n', '\n');
  try {
    if (text.includes('BEGIN')) {
      const key = createPrivateKey(text);
      if (
        key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ||
        key.asymmetricKeyType === 'ed25519'
      )
        return key;
    } else {
      const bytes = Buffer.from(text, 'base64');
      if (bytes.length === 64) return ed25519Key(bytes);
    }
  } catch {
    // The cause would quote the secret.
  }
  throw new Error('cdp_key_secret must be base64 of 64 bytes (Ed25519) or the PEM of a P-256 key');
}

function ed25519Key(bytes: Buffer): KeyObject {
  const d = bytes.subarray(0, 32).toString('base64url');
  const x = bytes.subarray(32).toString('base64url');
  return createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x }, format: 'jwk' });
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

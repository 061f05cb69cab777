/**
 * Secrets at rest: AES-256-GCM, random 96-bit nonce, full tag, and the place of the value as additional data, so that a value moved
 * elsewhere does not open. What is sealed under what: src/master-key.ts.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function seal(key: Buffer, place: string, value: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(place));
  const body = Buffer.concat([cipher.update(value), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
}

/** Throws when the key, the place or a single bit differs. */
export function unseal(key: Buffer, place: string, sealed: string): Buffer {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new Error(`${place} cannot be opened`);
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  return Buffer.concat([
    decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)),
    decipher.final(),
  ]);
}

/** Columns that nobody reads without the data directory's secrets. `place`: table, column and row, so that a value opens only there. */
export interface SecretBox {
  seal(place: string, text: string): string;
  /** Throws when the value was changed or stood elsewhere. */
  open(place: string, sealed: string): string;
}

/** `key`: 32 bytes. */
export function secretBox(key: Buffer): SecretBox {
  return {
    seal: (place, text) => seal(key, place, Buffer.from(text)),
    open: (place, sealed) => unseal(key, place, sealed).toString('utf8'),
  };
}

/** The form of API keys: `ck_` (INFERENCE) or `ak_` (ADMIN), 160 random bits, a checksum so that typos fail without a database read. */
import { hash, randomBytes } from 'node:crypto';

export type KeyType = 'INFERENCE' | 'ADMIN';

const KEY_FORM = /^(ck|ak)_([0-9a-f]{40})([0-9a-f]{8})$/;
const FOREIGN_FORM = /^ak_[\x21-\x7e]{29,253}$/;
const SECRET_BYTES = 20;

export function newSecret(type: KeyType): string {
  const body = `${type === 'ADMIN' ? 'ak' : 'ck'}_${randomBytes(SECRET_BYTES).toString('hex')}`;
  return body + checksum(body);
}

/**
 * Typos and noise end here. A key that somebody else made (FAREBOX_ADMIN_KEY) has no checksum, only its prefix and length, and may look
 * like one of ours.
 */
export function mayBeKey(secret: string): boolean {
  const form = KEY_FORM.exec(secret);
  if (form && checksum(`${form[1]}_${form[2]}`) === form[3]) return true;
  return FOREIGN_FORM.test(secret);
}

function checksum(body: string): string {
  return hash('sha256', `farebox key ${body}`).slice(0, 8);
}

/** Text that an upstream wrote, made fit for a caller. */

const MAX_MESSAGE = 500;
const KEY_LIKE = /\b(?:sk|ck|ak|pk|rk|gsk|xai|key|AIza)[-_][A-Za-z0-9_*.-]{6,}|Bearer\s+\S+/g;
// eslint-disable-next-line no-control-regex -- header and log injection
const CONTROL = /[\u0000-\u001f\u007f]+/g;

/** Without our keys, key-like words and control characters. */
export function redact(text: string, secrets: string[]): string {
  let clean = text.replace(CONTROL, ' ');
  for (const secret of secrets) clean = clean.replaceAll(secret, '[redacted]');
  return clean.replace(KEY_LIKE, '[redacted]').trim().slice(0, MAX_MESSAGE);
}

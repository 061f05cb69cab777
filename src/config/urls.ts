/** Checks of addresses on the net. They answer what would be right, or null; never the value. */
import { isIP } from 'node:net';

const LOOPBACK = /^(localhost|127\.[0-9]+\.[0-9]+\.[0-9]+|\[::1\])$/;
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

export function isLoopbackUrl(text: string): boolean {
  return URL.canParse(text) && LOOPBACK.test(new URL(text).hostname);
}

/**
 * What is wrong with the URL of a server that is told secrets or believed about money (P-12). RPC endpoints often carry their key
 * as a query, others may not.
 */
export function urlProblem(text: string, options: { mayHaveQuery?: boolean } = {}): string | null {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return 'must be an https URL';
  const url = new URL(text);
  if (url.protocol !== 'https:' && !LOOPBACK.test(url.hostname)) {
    return 'must be an https URL; plain http is for loopback only';
  }
  if (url.username !== '' || url.password !== '') return 'must not carry a user or a password';
  const hasQuery = url.search !== '' && options.mayHaveQuery !== true;
  return hasQuery || url.hash !== '' ? 'must be a URL without a query or fragment' : null;
}

/** The origin that `text` is ("https://gw.example.com"), or null. A trailing slash is forgiven. */
export function originOf(text: string): string | null {
  if (!/^https?:\/\/[^/?#@\s\\]+\/?$/i.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  const isHost = HOST_NAME.test(url.hostname) || isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0;
  return isHost && url.username === '' ? url.origin : null;
}

export function isPublicOrigin(origin: string): boolean {
  return origin.startsWith('https:') || isLoopbackUrl(origin);
}

/** "api.example.com" or "localhost:3000". */
export function isHostWithPort(text: string): boolean {
  const origin = originOf(`http://${text}`);
  return origin !== null && !text.endsWith('/');
}

/** An address or name to listen on. */
export function isListenHost(text: string): boolean {
  return isIP(text) !== 0 || HOST_NAME.test(text);
}

/** "10.0.0.0/8", "fd00::/8", or one address. /0 would believe everybody. */
export function isCidr(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^[1-9][0-9]{0,2}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128);
}

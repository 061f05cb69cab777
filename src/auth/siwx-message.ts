/**
 * The text that a wallet signs to sign in: EIP-4361 on EVM, the same template on Solana (CAIP-122). One anchored regular
 * expression per family reads the whole text; anything between or after its lines makes it fail.
 */
import type { Family } from '../config/config.ts';

export interface SiwxMessage {
  domain: string;
  address: string;
  statement: string | null;
  uri: string;
  version: string;
  /** As written: "8453", "5eykt4Us…". */
  chainId: string;
  nonce: string;
  issuedAt: string;
  expirationTime: string | null;
  notBefore: string | null;
  requestId: string | null;
  resources: string[];
}

export const MAX_MESSAGE_CHARS = 4_096;

/** Blank lines before the URI differ between wallets (two on EVM and one on Solana where there is no statement). */
const FIELDS = String.raw`\n(?:\n(?!URI: )([^\n]{1,1000})\n)?\n{0,2}URI: ([^\s]{1,1000})\nVersion: ([^\s]{1,8})\nChain ID: ([^\s]{1,64})\nNonce: ([^\s]{1,160})\nIssued At: ([^\s]{1,40})(?:\nExpiration Time: ([^\s]{1,40}))?(?:\nNot Before: ([^\s]{1,40}))?(?:\nRequest ID: ([^\n]{0,200}))?(?:\nResources:((?:\n- [^\n]{1,500}){0,20}))?$`;
const FIRST = String.raw`^(?:https?:\/\/)?([^\s\/?#@]{1,260}) wants you to sign in with your `;
const FORMS: Record<Family, RegExp> = {
  eip155: new RegExp(`${FIRST}Ethereum account:\\n(0x[0-9a-fA-F]{40})${FIELDS}`),
  solana: new RegExp(`${FIRST}Solana account:\\n([1-9A-HJ-NP-Za-km-z]{32,44})${FIELDS}`),
};

/** Reads a text; null when it is not exactly of the family's form. */
export function parseMessage(family: Family, text: string): SiwxMessage | null {
  if (text.length > MAX_MESSAGE_CHARS || text.includes('\r')) return null;
  const match = FORMS[family].exec(text);
  if (!match) return null;
  const [, domain, address, statement, uri, version, chainId, nonce, issuedAt] = match;
  return {
    domain: domain!,
    address: address!,
    statement: statement ?? null,
    uri: uri!,
    version: version!,
    chainId: chainId!,
    nonce: nonce!,
    issuedAt: issuedAt!,
    expirationTime: match[9] ?? null,
    notBefore: match[10] ?? null,
    requestId: match[11] ?? null,
    resources: (match[12] ?? '').split('\n- ').filter((resource) => resource !== ''),
  };
}

/** The text of given fields, byte for byte as wallets build it; no trailing newline. */
export function formatMessage(family: Family, message: SiwxMessage): string {
  const account = family === 'eip155' ? 'Ethereum' : 'Solana';
  const lines = [
    `${message.domain} wants you to sign in with your ${account} account:`,
    message.address,
    '',
  ];
  if (message.statement !== null) lines.push(message.statement, '');
  else if (family === 'eip155') lines.push('');
  lines.push(
    `URI: ${message.uri}`,
    `Version: ${message.version}`,
    `Chain ID: ${message.chainId}`,
    `Nonce: ${message.nonce}`,
    `Issued At: ${message.issuedAt}`,
  );
  if (message.expirationTime !== null) lines.push(`Expiration Time: ${message.expirationTime}`);
  if (message.notBefore !== null) lines.push(`Not Before: ${message.notBefore}`);
  if (message.requestId !== null) lines.push(`Request ID: ${message.requestId}`);
  if (message.resources.length) lines.push('Resources:', ...message.resources.map((r) => `- ${r}`));
  return lines.join('\n');
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/** Milliseconds of an RFC 3339 time; NaN for anything else. */
export function parseTime(text: string): number {
  return TIME.test(text) ? Date.parse(text) : Number.NaN;
}

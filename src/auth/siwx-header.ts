/** Opens a SIGN-IN-WITH-X header: Venice's form carries the signed text, the x402 extension's form only its fields. */
import bs58 from 'bs58';
import type { Family } from '../config/config.ts';
import { refuse } from './siwx-refusal.ts';
import { formatMessage, parseMessage, type SiwxMessage } from './siwx-message.ts';

export interface OpenedHeader {
  family: Family;
  /** The bytes that were signed. */
  text: string;
  message: SiwxMessage;
  /** CAIP-2 id of the chain that the signed text names. */
  chain: string;
  /** As sent: 0x hex on EVM; decoded bytes on Solana. */
  signature: string | Uint8Array;
}

const MAX_HEADER_CHARS = 8_192;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const SOLANA_MAINNET = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';
const SOLANA_DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
/** How wallets spell Solana's clusters in the Chain ID line. */
const SOLANA_CHAINS = new Map([
  ['5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp', SOLANA_MAINNET],
  ['mainnet', SOLANA_MAINNET],
  ['101', SOLANA_MAINNET],
  ['EtWTRABZaYq6iMfeYKouRu166VU2xqa1', SOLANA_DEVNET],
  ['devnet', SOLANA_DEVNET],
  ['103', SOLANA_DEVNET],
]);

type Fields = Record<string, unknown>;

/** Throws AppError('invalid_sign_in') with details.reason. */
export function openHeader(value: string): OpenedHeader {
  const fields = decode(value);
  const family = familyOf(fields);
  const isVenice = typeof fields['message'] === 'string';
  const text = isVenice ? (fields['message'] as string) : rebuild(family, fields);
  const message = parseMessage(family, text);
  if (!message)
    throw refuse('malformed_message', 'The signed message is not of the expected form.');
  const chain = chainOf(family, message.chainId);
  const said = chainField(fields['chainId']);
  if (said !== '' && chainOf(family, said) !== chain) {
    throw refuse('chain_id', "chainId is not the signed message's Chain ID.");
  }
  const address = fields['address'];
  if (typeof address !== 'string' || !sameAddress(family, address, message.address)) {
    throw refuse('address', "address is not the signed message's address.");
  }
  return { family, text, message, chain, signature: signatureOf(family, fields['signature']) };
}

function decode(value: string): Fields {
  const malformed = () =>
    refuse('malformed_header', 'The sign-in header must be base64 of one JSON object.');
  if (value.length > MAX_HEADER_CHARS || !BASE64.test(value)) throw malformed();
  let parsed: unknown;
  try {
    parsed = JSON.parse(UTF8.decode(Buffer.from(value, 'base64')));
  } catch {
    throw malformed();
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw malformed();
  return parsed as Fields;
}

function familyOf(fields: Fields): Family {
  const { type, chainId, address } = fields;
  const isEvmAddress = typeof address === 'string' && address.startsWith('0x');
  const saysSolana =
    type === 'ed25519' || (typeof chainId === 'string' && chainId.startsWith('solana:'));
  if (saysSolana && isEvmAddress) throw refuse('address', 'address must be a Solana address.');
  return saysSolana || !isEvmAddress ? 'solana' : 'eip155';
}

const TEXT_FIELDS = ['domain', 'address', 'uri', 'nonce', 'issuedAt'] as const;
const OPTIONAL_FIELDS = ['statement', 'expirationTime', 'notBefore', 'requestId'] as const;

/** The x402 form has no text: it is put together again, and read back like any other. */
function rebuild(family: Family, fields: Fields): string {
  for (const name of TEXT_FIELDS) {
    if (typeof fields[name] !== 'string') {
      throw refuse('malformed_header', `The sign-in header needs ${name}, a string, or message.`);
    }
  }
  const optional = Object.fromEntries(
    OPTIONAL_FIELDS.map((name) => [name, text(fields[name], name)]),
  ) as Pick<SiwxMessage, (typeof OPTIONAL_FIELDS)[number]>;
  const required = fields as Record<(typeof TEXT_FIELDS)[number], string>;
  const message: SiwxMessage = {
    domain: required.domain,
    address: required.address,
    uri: required.uri,
    version: text(fields['version'], 'version') ?? '1',
    chainId: chainField(fields['chainId']).replace(/^(?:eip155|solana):/, ''),
    nonce: required.nonce,
    issuedAt: required.issuedAt,
    resources: list(fields['resources']),
    ...optional,
  };
  const signed = formatMessage(family, message);
  const readBack = parseMessage(family, signed);
  // A field with a line break in it would read back as other fields than it was sent as.
  if (!readBack || formatMessage(family, readBack) !== signed || readBack.uri !== message.uri) {
    throw refuse(
      'malformed_message',
      'A field of the sign-in header has characters it cannot have.',
    );
  }
  return signed;
}

function text(value: unknown, name: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  throw refuse('malformed_header', `${name} must be a string.`);
}

function list(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw refuse('malformed_header', 'resources must be an array of strings.');
}

/** 8453, "8453" and "eip155:8453" are all sent; '' where there is none. */
function chainField(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw refuse('chain_id', 'chainId must be a number or a string.');
}

function chainOf(family: Family, id: string): string {
  const reference = id.replace(/^(?:eip155|solana):/, '');
  if (family === 'solana') return SOLANA_CHAINS.get(reference) ?? `solana:${reference}`;
  return `eip155:${reference}`;
}

function sameAddress(family: Family, a: string, b: string): boolean {
  return family === 'eip155' ? a.toLowerCase() === b.toLowerCase() : a === b;
}

const HEX = /^0x(?:[0-9a-fA-F]{2}){1,4096}$/;
const SOLANA_SIGNATURE_BYTES = 64;

function signatureOf(family: Family, value: unknown): string | Uint8Array {
  const malformed = () => refuse('malformed_signature', 'signature is not of the expected form.');
  if (typeof value !== 'string') throw malformed();
  if (family === 'eip155') {
    if (!HEX.test(value)) throw malformed();
    return value;
  }
  for (const read of [readBase58, (it: string) => Buffer.from(it, 'base64')]) {
    const bytes = read(value);
    if (bytes?.length === SOLANA_SIGNATURE_BYTES) return bytes;
  }
  throw malformed();
}

const BASE58 = /^[1-9A-HJ-NP-Za-km-z]{64,100}$/;

/** Bytes of a base58 text; null when it is not one (base58 decodes in quadratic time, so its length is bounded). */
function readBase58(value: string): Uint8Array | null {
  return BASE58.test(value) ? bs58.decode(value) : null;
}

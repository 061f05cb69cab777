/**
 * Reads a payment header of any dialect: x402 v1 (X-PAYMENT), v2 (PAYMENT-SIGNATURE), and the mix that Venice's client sends
 * (X-402-Payment: version 2 around a v1 object). The dialect is told by shape, not by the version number or the header's name.
 * Of the wrapper only network, inner payload and payment-identifier are kept: amounts, recipients and assets in it are a
 * client's copy of ours and are never looked at.
 */
import { networkOf } from '../chains/networks.ts';
import { AppError } from '../errors.ts';

export interface PaymentHeader {
  /** CAIP-2 id; perhaps of a network that is not configured. */
  network: string;
  /** The inner payload, a plain object, unchecked. */
  payload: unknown;
  dialect: 'v1' | 'v2' | 'hybrid';
  /** Lower-case name of the header it came in. */
  header: string;
  /** The client's payment-identifier, or null. */
  identifier: string | null;
}

/** Canonical first. */
export const PAYMENT_HEADERS: readonly string[] = [
  'payment-signature',
  'x-402-payment',
  'x-payment',
];

/** A v2 Solana payment is about 1.5 kB of base64, a v2 EVM one with every extension echoed about 3 kB. */
const MAX_HEADER_CHARS = 8_192;
const MAX_HEADER_VALUES = 3;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** @x402/extensions 2.27: 16 to 128 characters. */
const IDENTIFIER = /^[A-Za-z0-9_-]{16,128}$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

type Fields = Record<string, unknown>;

/**
 * `values`: every value of the three payment headers on the request, one at least. Throws AppError('invalid_payment') with
 * details.reason: `duplicate_header`, `too_large`, `malformed_header`, `shape`, `version`, `scheme`, `network` or
 * `payment_identifier`.
 */
export function readPaymentHeader(values: { name: string; value: string }[]): PaymentHeader {
  const { name, value } = onlyValue(values);
  const object = decodeObject(name, value);
  const wrapper = readWrapper(object);
  if (wrapper.scheme !== 'exact') {
    throw invalid('scheme', `scheme must be "exact", not ${quote(wrapper.scheme)}`);
  }
  const network = networkOf(wrapper.network);
  if (network === null) {
    throw invalid(
      'network',
      `network ${quote(wrapper.network)} is not known here; use a CAIP-2 id such as "eip155:8453"`,
    );
  }
  const payload = own(object, 'payload');
  if (!isObject(payload)) throw invalid('shape', 'payload must be an object');
  return {
    network,
    payload,
    dialect: wrapper.dialect,
    header: name.toLowerCase(),
    identifier: readIdentifier(object),
  };
}

/** Two names with different values are how a proxy and an origin are made to see different payments: refused. */
function onlyValue(values: { name: string; value: string }[]): { name: string; value: string } {
  const first = values[0];
  if (!first) throw invalid('malformed_header', 'no payment header');
  if (values.length > MAX_HEADER_VALUES || values.some(({ value }) => value !== first.value)) {
    throw invalid(
      'duplicate_header',
      'send one payment header; several with different values came',
    );
  }
  return first;
}

function decodeObject(name: string, value: string): Fields {
  if (value.length > MAX_HEADER_CHARS) {
    throw invalid('too_large', `${name} is longer than ${MAX_HEADER_CHARS} characters`);
  }
  if (value === '' || !BASE64.test(value)) {
    throw invalid('malformed_header', `${name} must be padded base64 of a JSON object`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(UTF8.decode(Buffer.from(value, 'base64')));
  } catch (error) {
    throw invalid('malformed_header', `${name} does not decode to JSON in UTF-8`, error);
  }
  if (!isObject(parsed)) throw invalid('malformed_header', `${name} must hold a JSON object`);
  return parsed;
}

function readWrapper(object: Fields): {
  scheme: string;
  network: string;
  dialect: PaymentHeader['dialect'];
} {
  const version = own(object, 'x402Version');
  if (version !== 1 && version !== 2) throw invalid('version', 'x402Version must be 1 or 2');
  const hasAccepted = Object.hasOwn(object, 'accepted');
  const accepted = own(object, 'accepted');
  if (hasAccepted && !isObject(accepted)) throw invalid('shape', 'accepted must be an object');
  const source = isObject(accepted) ? accepted : object;
  const scheme = own(source, 'scheme');
  const network = own(source, 'network');
  if (typeof scheme !== 'string' || typeof network !== 'string') {
    throw invalid(
      'shape',
      'the payment must name scheme and network, at its top (v1) or in accepted (v2)',
    );
  }
  if (hasAccepted) return { scheme, network, dialect: 'v2' };
  return { scheme, network, dialect: version === 1 ? 'v1' : 'hybrid' };
}

/** `extensions["payment-identifier"].info.id`; a client that merely echoes our declaration sends no id. */
function readIdentifier(object: Fields): string | null {
  const extensions = own(object, 'extensions');
  const extension = isObject(extensions) ? own(extensions, 'payment-identifier') : undefined;
  const info = isObject(extension) ? own(extension, 'info') : undefined;
  const id = isObject(info) ? own(info, 'id') : undefined;
  if (id === undefined || id === null) return null;
  if (typeof id !== 'string' || !IDENTIFIER.test(id)) {
    throw invalid(
      'payment_identifier',
      'extensions["payment-identifier"].info.id must be 16 to 128 letters, digits, hyphens or underscores',
    );
  }
  return id;
}

function own(object: Fields, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function invalid(reason: string, message: string, cause?: unknown): AppError {
  return new AppError('invalid_payment', message, { details: { reason }, cause });
}

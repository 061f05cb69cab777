/**
 * Reads the inner payload of an EVM `exact` payment: an EIP-3009 TransferWithAuthorization that its payer signed. Token, chain and
 * EIP-712 domain come from configuration, everything else from the signed fields. Needs no network.
 */
import type { Hex } from 'viem';
import { hashTypedData, hexToBytes } from 'viem/utils';
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { EvmPayload, SignedPayment } from './chain.ts';
import { recoverAddress } from './secp256k1.ts';

/** Time left that a broadcast needs: less, and the transfer would revert as expired. */
export const BROADCAST_MARGIN_SECONDS = 20;
/** Longest life of an authorization, so that a payment whose outcome is unknown ends in bounded time. */
export const MAX_VALIDITY_SECONDS = 3_600;

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const ZERO_ADDRESS = `0x${'0'.repeat(40)}`;
const NONCE = /^0x[0-9a-fA-F]{64}$/;
/** Decimal only: BigInt would also take "", " 0x10 " and "0b1". At most 10^15-1 base units, a billion dollars. */
const VALUE = /^[1-9][0-9]{0,14}$/;
const SECONDS = /^[0-9]{1,12}$/;
const HEX = /^0x(?:[0-9a-fA-F]{2})*$/;
const SIGNATURE_CHARS = 2 + 65 * 2;
/** Half the order of secp256k1: a larger s is the malleated twin, which the token refuses. */
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
/** Payloads of other transfer methods, told by the fields they carry. */
const OTHER_METHODS = [
  'permit2Authorization',
  'delegation',
  'delegationManager',
  'permissionContext',
];

/** EIP-3009, as EIP-712 signs it. */
export const TRANSFER_WITH_AUTHORIZATION = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
} as const;

type Authorization = EvmPayload['authorization'];
type Fields = Record<string, unknown>;

/**
 * Throws AppError('invalid_payment') with details.reason: `unsupported_method`, `family`, `authorization`, `value`, `valid_after`,
 * `valid_before`, `nonce`, `payer`, `contract_wallet`, `signature`, then, of a payment that is well signed, `recipient`,
 * `not_yet_valid`, `too_long` or `expired`. The last four also carry details.payer, .identity and .validBefore: one that was
 * credited before must still be answered with that credit, after it expired or payTo changed.
 */
export function decodeEvmPayment(
  network: NetworkConfig,
  payload: unknown,
  nowMs: number,
): SignedPayment {
  const fields = readFields(payload);
  const authorization = readAuthorization(own(fields, 'authorization'));
  checkPayer(network, authorization);
  const signature = readSignature(own(fields, 'signature'));
  const signer = recoverAddress(
    hexToBytes(paymentDigest(network, authorization)),
    hexToBytes(signature),
  );
  if (signer !== authorization.from) {
    throw invalid(
      'signature',
      "the signature is not the payer's, or was made for another token, chain or EIP-712 domain",
    );
  }
  checkRecipient(network, authorization);
  checkWindow(authorization, nowMs);
  return {
    network: network.network,
    family: 'eip155',
    asset: network.asset,
    payer: authorization.from,
    payTo: authorization.to,
    amount: BigInt(authorization.value),
    identity: authorization.nonce,
    validBeforeSeconds: Number(authorization.validBefore),
    payload: { signature, authorization },
  };
}

/** What the payer signed: the EIP-712 hash over the configured domain. */
export function paymentDigest(network: NetworkConfig, authorization: Authorization): Hex {
  const { name, version } = network.domain ?? { name: 'USD Coin', version: '2' };
  return hashTypedData({
    domain: {
      name,
      version,
      chainId: chainIdOf(network.network),
      verifyingContract: network.asset as Hex,
    },
    types: TRANSFER_WITH_AUTHORIZATION,
    primaryType: 'TransferWithAuthorization',
    message: {
      from: authorization.from as Hex,
      to: authorization.to as Hex,
      value: BigInt(authorization.value),
      validAfter: BigInt(authorization.validAfter),
      validBefore: BigInt(authorization.validBefore),
      nonce: authorization.nonce as Hex,
    },
  });
}

/** 8453 of "eip155:8453". */
export function chainIdOf(network: string): number {
  return Number(network.slice('eip155:'.length));
}

function readFields(payload: unknown): Fields {
  if (!isObject(payload)) throw invalid('authorization', 'payload must be an object');
  if (OTHER_METHODS.some((name) => Object.hasOwn(payload, name))) {
    throw invalid(
      'unsupported_method',
      'pay by EIP-3009 transferWithAuthorization; Permit2 and delegations are not taken',
    );
  }
  if (!Object.hasOwn(payload, 'authorization') && Object.hasOwn(payload, 'transaction')) {
    throw invalid('family', 'this is a Solana payload, but the network named is an EVM chain');
  }
  return payload;
}

function readAuthorization(value: unknown): Authorization {
  if (!isObject(value)) throw invalid('authorization', 'payload.authorization must be an object');
  const read = (name: keyof Authorization, pattern: RegExp, reason: string, form: string) => {
    const text = own(value, name);
    if (typeof text === 'string' && pattern.test(text)) return text;
    throw invalid(reason, `payload.authorization.${name} must be ${form}`);
  };
  return {
    from: read('from', ADDRESS, 'payer', '0x and 40 hex digits').toLowerCase(),
    to: read('to', ADDRESS, 'recipient', '0x and 40 hex digits').toLowerCase(),
    value: read('value', VALUE, 'value', 'a decimal string of USDC base units, 1 to 15 digits'),
    validAfter: canonical(
      read('validAfter', SECONDS, 'valid_after', 'a decimal string of Unix seconds'),
    ),
    validBefore: canonical(
      read('validBefore', SECONDS, 'valid_before', 'a decimal string of Unix seconds'),
    ),
    nonce: read('nonce', NONCE, 'nonce', '0x and 64 hex digits').toLowerCase(),
  };
}

/** Without leading zeros: one payment, one text. */
function canonical(seconds: string): string {
  return String(Number(seconds));
}

function checkPayer(network: NetworkConfig, authorization: Authorization): void {
  const { from } = authorization;
  if (from === ZERO_ADDRESS || from === network.payTo.toLowerCase()) {
    throw invalid('payer', 'payload.authorization.from must be the wallet that pays');
  }
}

function checkRecipient(network: NetworkConfig, authorization: Authorization): void {
  const payTo = network.payTo.toLowerCase();
  if (authorization.to === payTo) return;
  throw invalid(
    'recipient',
    `payload.authorization.to must be ${payTo}, the payTo of ${network.network}`,
    describe(authorization),
  );
}

/** 65 bytes, lower-case, v as 27 or 28 (the token reverts on 0 and 1), low s. */
function readSignature(value: unknown): Hex {
  if (typeof value !== 'string' || !HEX.test(value)) {
    throw invalid('signature', 'payload.signature must be 0x and hex digits');
  }
  if (value.length !== SIGNATURE_CHARS) {
    throw invalid(
      'contract_wallet',
      'payload.signature must be 65 bytes; payments by contract wallets are not taken',
    );
  }
  const text = value.toLowerCase();
  const v = Number.parseInt(text.slice(-2), 16);
  const normalised = v < 27 ? v + 27 : v;
  if (normalised !== 27 && normalised !== 28)
    throw invalid('signature', 'the last byte of payload.signature must be 27 or 28');
  if (BigInt(`0x${text.slice(66, 130)}`) > HALF_ORDER) {
    throw invalid('signature', 'payload.signature must have a low s, as the token demands');
  }
  return `0x${text.slice(2, -2)}${normalised.toString(16)}`;
}

function checkWindow(authorization: Authorization, nowMs: number): void {
  const now = Math.floor(nowMs / 1_000);
  const validBefore = Number(authorization.validBefore);
  if (Number(authorization.validAfter) > now) {
    throw invalid(
      'not_yet_valid',
      'payload.authorization.validAfter must not be in the future',
      describe(authorization),
    );
  }
  if (validBefore > now + MAX_VALIDITY_SECONDS) {
    throw invalid(
      'too_long',
      `payload.authorization.validBefore must be at most ${MAX_VALIDITY_SECONDS} s from now`,
      describe(authorization),
    );
  }
  if (validBefore < now + BROADCAST_MARGIN_SECONDS) {
    throw invalid(
      'expired',
      `payload.authorization.validBefore must be at least ${BROADCAST_MARGIN_SECONDS} s from now`,
      describe(authorization),
    );
  }
}

/** By which payments finds what it knows of a payment that would not be taken anew. */
function describe(authorization: Authorization): Fields {
  return {
    payer: authorization.from,
    identity: authorization.nonce,
    validBefore: Number(authorization.validBefore),
  };
}

function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(reason: string, message: string, details: Fields = {}): AppError {
  return new AppError('invalid_payment', message, { details: { reason, ...details } });
}

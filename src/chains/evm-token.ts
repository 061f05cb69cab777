/** The token as this program sees it: calls it makes and events it believes. Source: EIP-20, EIP-3009, FiatTokenV2. */
import {
  type Hex,
  encodeFunctionData,
  getAbiItem,
  parseAbi,
  parseSignature,
  toEventSelector,
} from 'viem';
import type { EvmPayload, SignedPayment } from './chain.ts';

export const TOKEN_ABI = parseAbi([
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function balanceOf(address account) view returns (uint256)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
]);

const topic = (name: 'AuthorizationUsed' | 'AuthorizationCanceled' | 'Transfer') =>
  toEventSelector(getAbiItem({ abi: TOKEN_ABI, name }));
export const USED = topic('AuthorizationUsed');
export const CANCELLED = topic('AuthorizationCanceled');
export const TRANSFER = topic('Transfer');

export interface RawLog {
  address: string;
  topics: string[];
  data: string;
  /** Quantity in hex. */
  logIndex: string;
  transactionHash: string;
  blockNumber: string;
}

/** 0x and 32 bytes: an address as an indexed argument. */
export function addressTopic(address: string): Hex {
  return `0x${'0'.repeat(24)}${address.slice(2).toLowerCase()}`;
}

export function transferCall(payment: SignedPayment): Hex {
  const { signature, authorization } = payment.payload as EvmPayload;
  const { r, s, yParity } = parseSignature(signature as Hex);
  return encodeFunctionData({
    abi: TOKEN_ABI,
    functionName: 'transferWithAuthorization',
    args: [
      authorization.from as Hex,
      authorization.to as Hex,
      BigInt(authorization.value),
      BigInt(authorization.validAfter),
      BigInt(authorization.validBefore),
      authorization.nonce as Hex,
      27 + yParity,
      r,
      s,
    ],
  });
}

export function authorizationStateCall(payment: SignedPayment): Hex {
  const args = [payment.payer as Hex, payment.identity as Hex] as const;
  return encodeFunctionData({ abi: TOKEN_ABI, functionName: 'authorizationState', args });
}

export function balanceCall(address: string): Hex {
  const args = [address as Hex] as const;
  return encodeFunctionData({ abi: TOKEN_ABI, functionName: 'balanceOf', args });
}

/**
 * What the logs of one successful receipt say about a payment: `paid` when the token used the payer's authorization and moved
 * the exact amount to payTo in the step that belongs to it. The token writes AuthorizationUsed and then its Transfer, so several
 * payments in one transaction are told apart by order, and one transfer never serves for two.
 */
export function readLogs(
  payment: SignedPayment,
  logs: RawLog[],
): 'paid' | 'cancelled' | 'used_without_transfer' | 'absent' {
  const own = logs
    .filter((log) => log.address.toLowerCase() === payment.asset)
    .toSorted((a, b) => Number(a.logIndex) - Number(b.logIndex));
  const isOurs = (log: RawLog) =>
    same(log.topics[1], addressTopic(payment.payer)) && same(log.topics[2], payment.identity);
  const used = own.findIndex((log) => same(log.topics[0], USED) && isOurs(log));
  if (used < 0)
    return own.some((log) => same(log.topics[0], CANCELLED) && isOurs(log))
      ? 'cancelled'
      : 'absent';
  const next = own[used + 1];
  return next && isTransferOf(payment, next) ? 'paid' : 'used_without_transfer';
}

function isTransferOf(payment: SignedPayment, log: RawLog): boolean {
  return (
    same(log.topics[0], TRANSFER) &&
    same(log.topics[1], addressTopic(payment.payer)) &&
    same(log.topics[2], addressTopic(payment.payTo)) &&
    /^0x[0-9a-f]{64}$/i.test(log.data) &&
    BigInt(log.data) === payment.amount
  );
}

/** An authorization that the token used to move its payer's money to a wallet. */
export interface UsedAuthorization {
  payer: string;
  nonce: string;
  amount: bigint;
}

/** Every one of a receipt: AuthorizationUsed and, right after it, the Transfer that belongs to it. */
export function authorizationsTo(asset: string, to: string, logs: RawLog[]): UsedAuthorization[] {
  const own = logs
    .filter((log) => log.address.toLowerCase() === asset)
    .toSorted((a, b) => Number(a.logIndex) - Number(b.logIndex));
  return own.flatMap((used, index) => {
    const [kind, authorizer, nonce] = used.topics;
    const next = own[index + 1];
    if (!next || !same(kind, USED) || authorizer === undefined || nonce === undefined) return [];
    const payer = `0x${authorizer.slice(-40).toLowerCase()}`;
    const isItsTransfer =
      same(next.topics[0], TRANSFER) && same(next.topics[1], authorizer.toLowerCase());
    if (!isItsTransfer || payer === to) return [];
    return transfersTo(asset, to, [next]).map((amount) => ({
      payer,
      nonce: nonce.toLowerCase(),
      amount,
    }));
  });
}

/** What a receipt's logs say reached a wallet, transfer by transfer. */
export function transfersTo(asset: string, to: string, logs: RawLog[]): bigint[] {
  const isTransfer = (log: RawLog) =>
    log.address.toLowerCase() === asset &&
    same(log.topics[0], TRANSFER) &&
    same(log.topics[2], addressTopic(to)) &&
    !same(log.topics[1], addressTopic(to)) &&
    /^0x[0-9a-f]{64}$/i.test(log.data);
  return logs.filter(isTransfer).map(({ data }) => BigInt(data));
}

function same(a: string | undefined, b: string): boolean {
  return a?.toLowerCase() === b;
}

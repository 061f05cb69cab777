/**
 * What the chain proves about a payment. Paid is only: AuthorizationUsed of the payer's nonce and the matching Transfer, in one
 * successful receipt, deep enough. A reverted transaction proves nothing, since anybody may have submitted the same authorization
 * first; a spent authorization proves nothing either, since it may have been cancelled. Sources: EIP-3009, FiatTokenV2.
 */
import type { Evidence, SignedPayment } from './chain.ts';
import { type Block, type EvmChain, type Receipt, RpcError } from './evm-chain.ts';
import { CANCELLED, USED, readLogs } from './evm-token.ts';

/** Most public endpoints take this much; some take a tenth. */
export const RANGE_BLOCKS = 2_000n;
export const LEAST_RANGE_BLOCKS = 10n;
export const RANGE_SHRINK = 4n;
const MAX_LOG_CALLS = 60;
/** How far chain time must be past validBefore: reorganisations may set it back a little. */
const EXPIRY_MARGIN_SECONDS = 60;
/** Added to validBefore, after which no block can have used the authorization: block times are not exact. */
const SEARCH_SLACK_SECONDS = 600;
const PROBE_BLOCKS = 100n;
const MAX_BLOCK_PROBES = 40;

/**
 * Throws RpcError when the chain cannot be read. Unknown reasons: `confirming` (seen, not deep enough), `no_transfer` (the token
 * took the authorization and moved nothing), `reverted` (ours did, the authorization is unused), `not_found` (the chain does not
 * hold the transaction, the authorization is unused), `not_submitted` (the same, and no transaction is known), `spent_unseen`
 * (used or cancelled, its event not found in the blocks searched).
 */
export async function findEvidence(
  chain: EvmChain,
  payment: SignedPayment,
  transaction: string | null,
  confirmations: number,
): Promise<Evidence> {
  const receipt = transaction === null ? null : await chain.receipt(transaction);
  // The head is read after the receipt, so that it is never behind it.
  const head = await chain.block();
  if (transaction !== null && receipt) {
    const found = await judge(chain, payment, transaction, receipt, head, confirmations);
    if (found) return found;
  }
  if (!(await chain.isSpent(payment, head.number)))
    return unspent(payment, transaction, receipt, head);
  const other = await findSpending(chain, payment, head);
  const otherReceipt = other === null ? null : await chain.receipt(other);
  if (other === null || !otherReceipt)
    return { state: 'unknown', reason: 'spent_unseen', transaction };
  const found = await judge(chain, payment, other, otherReceipt, head, confirmations);
  return found ?? { state: 'unknown', reason: 'spent_unseen', transaction };
}

/** Null when the receipt has nothing to say about the payment. */
async function judge(
  chain: EvmChain,
  payment: SignedPayment,
  transaction: string,
  receipt: Receipt,
  head: Block,
  confirmations: number,
): Promise<Evidence | null> {
  if (!receipt.isSuccess) return null;
  const verdict = readLogs(payment, receipt.logs);
  if (verdict === 'absent') return null;
  if (verdict === 'used_without_transfer')
    return { state: 'unknown', reason: 'no_transfer', transaction };
  const depth = head.number - receipt.block + 1n;
  if (depth < BigInt(confirmations)) return { state: 'unknown', reason: 'confirming', transaction };
  if (verdict === 'cancelled') {
    return {
      state: 'failed',
      reason: 'cancelled',
      message: 'the payer cancelled the authorization on chain',
    };
  }
  const isFinal = await chain.isFinal(receipt.block, head.number);
  return {
    state: 'settled',
    transaction,
    amount: payment.amount,
    block: String(receipt.block),
    isFinal,
  };
}

function unspent(
  payment: SignedPayment,
  transaction: string | null,
  receipt: Receipt | null,
  head: Block,
): Evidence {
  const validBefore = payment.validBeforeSeconds ?? 0;
  if (head.timestamp >= validBefore + EXPIRY_MARGIN_SECONDS) {
    return {
      state: 'failed',
      reason: 'expired',
      message: 'the authorization expired unused; no money moved',
    };
  }
  const hasReverted = receipt !== null && !receipt.isSuccess;
  const absent = transaction === null ? 'not_submitted' : 'not_found';
  return { state: 'unknown', reason: hasReverted ? 'reverted' : absent, transaction };
}

/**
 * The transaction that used or cancelled the authorization, searched from its last possible block backwards, in ranges that
 * shrink when the endpoint refuses them.
 */
async function findSpending(
  chain: EvmChain,
  payment: SignedPayment,
  head: Block,
): Promise<string | null> {
  const latest = (payment.validBeforeSeconds ?? 0) + SEARCH_SLACK_SECONDS;
  let to = await blockAfter(chain, latest, head);
  let range = RANGE_BLOCKS;
  for (let call = 0; call < MAX_LOG_CALLS; call++) {
    const from = to < range ? 0n : to - range + 1n;
    const logs = await chain.authorizationLogs(payment, [USED, CANCELLED], from, to);
    if (logs === 'refused') {
      if (range <= LEAST_RANGE_BLOCKS) throw new RpcError('eth_getLogs is refused');
      range /= RANGE_SHRINK;
      continue;
    }
    const log = logs[0];
    if (log) return log.transactionHash;
    if (from === 0n) return null;
    to = from - 1n;
  }
  return null;
}

/** A block at or shortly after `timestamp`, found by bisection; the head when that is not later. */
export async function blockAfter(chain: EvmChain, timestamp: number, head: Block): Promise<bigint> {
  if (head.timestamp <= timestamp) return head.number;
  let low = 0n;
  let high = head.number;
  for (let probe = 0; probe < MAX_BLOCK_PROBES && high - low > PROBE_BLOCKS; probe++) {
    const middle = (low + high) / 2n;
    if ((await chain.block(middle)).timestamp < timestamp) low = middle;
    else high = middle;
  }
  return high;
}

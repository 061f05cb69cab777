/** Payments that the chain shows, for a ledger that does not know them any more: a backup was restored. */
import type { NetworkConfig } from '../config/config.ts';
import type { FoundPayment, SignedPayment } from './chain.ts';
import { type EvmChain, type Receipt, RpcError } from './evm-chain.ts';
import { blockAfter, LEAST_RANGE_BLOCKS, RANGE_BLOCKS, RANGE_SHRINK } from './evm-evidence.ts';
import { authorizationsTo, type UsedAuthorization } from './evm-token.ts';

/** A month of Base in ranges of the usual size. */
const MAX_LOG_CALLS = 1_000;
/** Bisection ends that many blocks late at most. */
const EARLIER_BLOCKS = 200n;
const WORD_HEX = 64;

/** Every EIP-3009 payment to payTo since `sinceMs`, deep enough to be credited. Throws RpcError. */
export async function* evmPaymentsSince(
  chain: EvmChain,
  network: NetworkConfig,
  sinceMs: number,
): AsyncGenerator<FoundPayment> {
  const head = await chain.block();
  const last = head.number - BigInt(network.confirmations) + 1n;
  const first = await blockAfter(chain, Math.floor(sinceMs / 1_000), head);
  let from = first > EARLIER_BLOCKS ? first - EARLIER_BLOCKS : 0n;
  let range = RANGE_BLOCKS;
  for (let call = 0; from <= last; call++) {
    if (call === MAX_LOG_CALLS) throw new RpcError('too many blocks to read payments from');
    const to = from + range - 1n < last ? from + range - 1n : last;
    const logs = await chain.transferLogs(network.payTo, from, to);
    if (logs === 'refused') {
      if (range <= LEAST_RANGE_BLOCKS) throw new RpcError('eth_getLogs is refused');
      range /= RANGE_SHRINK;
      continue;
    }
    for (const transaction of new Set(logs.map((log) => log.transactionHash))) {
      yield* paymentsOf(chain, network, transaction, head.number);
    }
    from = to + 1n;
  }
}

async function* paymentsOf(
  chain: EvmChain,
  network: NetworkConfig,
  transaction: string,
  head: bigint,
): AsyncGenerator<FoundPayment> {
  const receipt = await chain.receipt(transaction);
  if (!receipt?.isSuccess) return;
  const payTo = network.payTo.toLowerCase();
  const used = authorizationsTo(network.asset, payTo, receipt.logs);
  if (!used.length) return;
  const input = (await chain.input(transaction)) ?? '';
  const isFinal = await chain.isFinal(receipt.block, head);
  const { timestamp } = await chain.block(receipt.block);
  for (const authorization of used) {
    yield found(network, { transaction, receipt, isFinal, timestamp, input }, authorization);
  }
}

interface Place {
  transaction: string;
  receipt: Receipt;
  isFinal: boolean;
  timestamp: number;
  input: string;
}

function found(
  network: NetworkConfig,
  { transaction, receipt, isFinal, timestamp, input }: Place,
  { payer, nonce, amount }: UsedAuthorization,
): FoundPayment {
  const payTo = network.payTo.toLowerCase();
  const validity = validityOf(input, nonce) ?? { after: 0n, before: BigInt(timestamp) + 1n };
  const payment: SignedPayment = {
    network: network.network,
    family: 'eip155',
    asset: network.asset,
    payer,
    payTo,
    amount,
    identity: nonce,
    validBeforeSeconds: Number(validity.before),
    payload: {
      // It stands on the chain; what is settled needs it no more.
      signature: '0x',
      authorization: {
        from: payer,
        to: payTo,
        value: String(amount),
        validAfter: String(validity.after),
        validBefore: String(validity.before),
        nonce,
      },
    },
  };
  const block = String(receipt.block);
  return { payment, evidence: { state: 'settled', transaction, amount, block, isFinal } };
}

/** validAfter and validBefore are the two words before the nonce, in a direct call as in one by way of another contract. */
function validityOf(input: string, nonce: string): { after: bigint; before: bigint } | null {
  const at = input.toLowerCase().indexOf(nonce.slice(2));
  if (at < 2 * WORD_HEX) return null;
  const after = BigInt(`0x${input.slice(at - 2 * WORD_HEX, at - WORD_HEX)}`);
  const before = BigInt(`0x${input.slice(at - WORD_HEX, at)}`);
  return before <= BigInt(Number.MAX_SAFE_INTEGER) ? { after, before } : null;
}

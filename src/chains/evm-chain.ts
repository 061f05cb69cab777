/** Reads and writes of one EVM chain over JSON-RPC, each bounded in time. Errors never carry the endpoint: it may hold a key. */
import {
  type Hex,
  type PublicClient,
  createPublicClient,
  domainSeparator,
  http,
  keccak256,
  numberToHex,
} from 'viem';
import type { NetworkConfig } from '../config/config.ts';
import type { SignedPayment } from './chain.ts';
import { chainIdOf } from './evm-payload.ts';
import {
  addressTopic,
  authorizationStateCall,
  balanceCall,
  type RawLog,
  TRANSFER,
} from './evm-token.ts';

const RPC_TIMEOUT_MS = 8_000;
const RPC_RETRIES = 1;
/** Depth that counts as final where the chain knows neither the `finalized` nor the `safe` tag. */
const FINAL_DEPTH = 64n;
const DOMAIN_SEPARATOR = '0x3644e515';

export interface Block {
  number: bigint;
  /** Unix seconds. */
  timestamp: number;
  baseFee: bigint;
}

export interface Receipt {
  isSuccess: boolean;
  block: bigint;
  logs: RawLog[];
}

/** What a node said about a raw transaction handed to it. `unclear`: it may have it. */
export type Broadcast =
  | 'accepted'
  | 'nonce_too_low'
  | 'nonce_taken'
  | 'underpriced'
  | 'no_gas_money'
  | 'refused'
  | 'unclear';

/** The chain could not be read; what was asked is not known. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
}

interface RpcReceipt {
  status: Hex;
  blockNumber: Hex;
  logs: RawLog[];
}

export class EvmChain {
  readonly chainId: number;
  readonly #network: NetworkConfig;
  readonly #client: PublicClient;

  constructor(network: NetworkConfig, rpcUrl: string, fetchFn?: typeof fetch) {
    this.#network = network;
    this.chainId = chainIdOf(network.network);
    const transport = http(rpcUrl, {
      timeout: RPC_TIMEOUT_MS,
      retryCount: RPC_RETRIES,
      ...(fetchFn ? { fetchFn: (input, init) => fetchFn(input, init) } : {}),
    });
    this.#client = createPublicClient({ transport });
  }

  /** Null, or what is wrong with the endpoint: another chain, no token, or another EIP-712 domain than configured. */
  async problem(): Promise<string | null> {
    const chainId = Number(await this.#ask<Hex>('eth_chainId', []));
    if (chainId !== this.chainId)
      return `the RPC endpoint serves chain ${chainId}, not ${this.chainId}`;
    const separator = await this.call(this.#network.asset, DOMAIN_SEPARATOR);
    const { name, version } = this.#network.domain ?? { name: '', version: '' };
    const verifyingContract = this.#network.asset as Hex;
    const expected = domainSeparator({
      domain: { name, version, chainId: this.chainId, verifyingContract },
    });
    if (separator === expected) return null;
    return `the token at ${this.#network.asset} does not have the EIP-712 domain "${name}" version "${version}"`;
  }

  async block(at: bigint | 'latest' | 'safe' | 'finalized' = 'latest'): Promise<Block> {
    const tag = typeof at === 'bigint' ? numberToHex(at) : at;
    const block = await this.#ask<{ number: Hex; timestamp: Hex; baseFeePerGas?: Hex } | null>(
      'eth_getBlockByNumber',
      [tag, false],
    );
    if (!block) throw new RpcError('no such block');
    return {
      number: BigInt(block.number),
      timestamp: Number(block.timestamp),
      baseFee: BigInt(block.baseFeePerGas ?? '0x0'),
    };
  }

  /** Whether a block can no longer be replaced. */
  async isFinal(block: bigint, head: bigint): Promise<boolean> {
    for (const tag of ['finalized', 'safe'] as const) {
      try {
        return (await this.block(tag)).number >= block;
      } catch {
        // Not every chain knows the tag.
      }
    }
    return head - block >= FINAL_DEPTH;
  }

  /** Null while the chain does not hold the transaction. */
  async receipt(transaction: string): Promise<Receipt | null> {
    const receipt = await this.#ask<RpcReceipt | null>('eth_getTransactionReceipt', [transaction]);
    if (!receipt?.blockNumber) return null;
    return {
      isSuccess: receipt.status === '0x1',
      block: BigInt(receipt.blockNumber),
      logs: receipt.logs,
    };
  }

  /** EIP-3009: true once the authorization was used or cancelled. */
  async isSpent(payment: SignedPayment, at: bigint): Promise<boolean> {
    const answer = await this.call(payment.asset, authorizationStateCall(payment), numberToHex(at));
    if (!/^0x[0-9a-f]{64}$/i.test(answer))
      throw new RpcError('authorizationState answered nothing');
    return BigInt(answer) !== 0n;
  }

  async tokenBalance(address: string): Promise<bigint> {
    return BigInt(await this.call(this.#network.asset, balanceCall(address)));
  }

  async gasBalance(address: string): Promise<bigint> {
    return BigInt(await this.#ask<Hex>('eth_getBalance', [address, 'latest']));
  }

  async pendingNonce(address: string): Promise<number> {
    return Number(await this.#ask<Hex>('eth_getTransactionCount', [address, 'pending']));
  }

  /** The nonce of the first transaction that is in no block yet. */
  async minedNonce(address: string): Promise<number> {
    return Number(await this.#ask<Hex>('eth_getTransactionCount', [address, 'latest']));
  }

  async priorityFee(): Promise<bigint> {
    return BigInt(await this.#ask<Hex>('eth_maxPriorityFeePerGas', []));
  }

  /** Events of the token about one authorization, in blocks from..to; 'refused' when the endpoint will not look at so many. */
  async authorizationLogs(
    payment: SignedPayment,
    topics: string[],
    from: bigint,
    to: bigint,
  ): Promise<RawLog[] | 'refused'> {
    return this.#logs(
      payment.asset,
      [topics, addressTopic(payment.payer), payment.identity],
      from,
      to,
    );
  }

  /** Transfers of the token to a wallet, in blocks from..to; 'refused' as above. */
  transferLogs(wallet: string, from: bigint, to: bigint): Promise<RawLog[] | 'refused'> {
    return this.#logs(this.#network.asset, [TRANSFER, null, addressTopic(wallet)], from, to);
  }

  /** The call data of a transaction; null while the chain does not hold it. */
  async input(transaction: string): Promise<string | null> {
    const found = await this.#ask<{ input: Hex } | null>('eth_getTransactionByHash', [transaction]);
    return found?.input ?? null;
  }

  async #logs(
    address: string,
    topics: (string | string[] | null)[],
    from: bigint,
    to: bigint,
  ): Promise<RawLog[] | 'refused'> {
    const filter = { address, fromBlock: numberToHex(from), toBlock: numberToHex(to), topics };
    try {
      return await this.#ask<RawLog[]>('eth_getLogs', [filter]);
    } catch (error) {
      if (error instanceof NodeRefusal) return 'refused';
      throw error;
    }
  }

  /** A revert throws RevertError, anything else RpcError. */
  async call(to: string, data: string, at: string = 'latest', from?: string): Promise<string> {
    return this.#ask<Hex>('eth_call', [{ to, data, ...(from ? { from } : {}) }, at]);
  }

  /** Hands a signed transaction to the node, once. */
  async broadcast(raw: Hex): Promise<Broadcast> {
    try {
      const hash = await this.#ask<Hex>('eth_sendRawTransaction', [raw], 0);
      return hash === keccak256(raw) ? 'accepted' : 'unclear';
    } catch (error) {
      return error instanceof NodeRefusal ? readRefusal(error.message) : 'unclear';
    }
  }

  async #ask<T>(method: string, params: unknown[], retryCount = RPC_RETRIES): Promise<T> {
    try {
      const request = { method, params } as unknown as Parameters<PublicClient['request']>[0];
      return (await this.#client.request(request, { retryCount })) as T;
    } catch (error) {
      throw translate(method, error);
    }
  }
}

/** The node answered with an error object. */
class NodeRefusal extends RpcError {}

/** The call would revert; `message` is the contract's reason where it gave one. */
export class RevertError extends RpcError {}

function translate(method: string, error: unknown): RpcError {
  const { code, text } = describe(error);
  if (code === null) return new RpcError(`${method}: the RPC endpoint does not answer`);
  if (method === 'eth_call' && (code === 3 || /revert|vm execution error/i.test(text)))
    return new RevertError(text);
  return new NodeRefusal(text);
}

/** viem wraps the node's error; its own texts quote the URL, so only `details` is read. */
function describe(error: unknown): { code: number | null; text: string } {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    if (at.name === 'RpcRequestError' && 'code' in at && typeof at.code === 'number') {
      const details = 'details' in at && typeof at.details === 'string' ? at.details : '';
      return { code: at.code, text: details.slice(0, 300) };
    }
    at = at.cause;
  }
  return { code: null, text: '' };
}

/** Wording of geth, op-geth, erigon, nethermind, reth and anvil. */
function readRefusal(message: string): Broadcast {
  if (/already known|already imported|known transaction|alreadyknown/i.test(message))
    return 'accepted';
  // Another transaction of ours holds the nonce: replacing it would take away its payment.
  if (/replacement.{0,20}underpriced/i.test(message)) return 'nonce_taken';
  if (/nonce.{0,20}too low|nonce too low|old nonce|invalid nonce|oldnonce/i.test(message))
    return 'nonce_too_low';
  if (
    /underpriced|fee.{0,30}(too low|less than|below)|max fee per gas less|feetoolow/i.test(message)
  )
    return 'underpriced';
  if (/insufficient funds|insufficient balance/i.test(message)) return 'no_gas_money';
  if (/limit|busy|timeout|internal|rate/i.test(message)) return 'unclear';
  return 'refused';
}

/** The rail of an EVM network: USDC by EIP-3009, settled by ourselves or by a remote facilitator. */
import type { Hex } from 'viem';
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type {
  Evidence,
  FoundPayment,
  PaymentRequirements,
  PayoutOrder,
  Rail,
  RailStatus,
  SettleHooks,
  SignedPayment,
  Submission,
  TransferQuery,
} from './chain.ts';
import { EvmChain, RpcError } from './evm-chain.ts';
import { EmbeddedSettler, readEvidence } from './evm-embedded.ts';
import { GasWallet } from './evm-gas.ts';
import { evmPaymentsSince } from './evm-history.ts';
import { decodeEvmPayment } from './evm-payload.ts';
import { EvmTreasury, findEvmTransfer } from './evm-treasury.ts';
import { RemoteSettler } from './evm-remote.ts';
import { Facilitator } from './facilitator.ts';
import { KNOWN_NETWORKS } from './networks.ts';
import type { RailOptions } from './rail-options.ts';

/** Becomes the client's validBefore; longer invites replay, shorter leaves no time to broadcast. */
const MAX_TIMEOUT_SECONDS = 300;
const PRIVATE_KEY = /^(0x)?[0-9a-fA-F]{64}$/;

interface Settler {
  problem(): Promise<string | null>;
  /** As `problem` saw it last. */
  readonly gasLow?: string | null;
  settle(
    payment: SignedPayment,
    hooks: SettleHooks,
    requirements: PaymentRequirements,
  ): Promise<Evidence>;
  /** Sends again with higher fees what its own no longer get into a block. */
  raise?(rawTransaction: Hex): Promise<unknown>;
}

/** Throws AppError('not_configured') when the settings cannot work: no gas key, a facilitator over plain http. */
export function createEvmRail(network: NetworkConfig, options: RailOptions): Rail {
  const { facilitator } = network;
  const known = KNOWN_NETWORKS.get(network.network);
  const rpcUrl =
    network.rpcUrl ?? (facilitator.kind === 'embedded' ? known?.defaultRpcUrl : undefined) ?? null;
  const chain = rpcUrl === null ? null : new EvmChain(network, rpcUrl, options.fetch);
  if (facilitator.kind === 'remote') {
    return new EvmRail(
      network,
      options,
      chain,
      remoteSettler(network, facilitator, options, chain),
      null,
    );
  }
  if (facilitator.kind !== 'embedded' || chain === null) {
    throw new AppError(
      'not_configured',
      `${network.network} needs rpc_url for embedded settlement`,
    );
  }
  const { gasKey, treasuryKey } = facilitator;
  const gas = new GasWallet(
    privateKey('gas_key', gasKey, network),
    chain,
    options.log,
    options.memory?.gasLines,
  );
  const treasury =
    treasuryKey === undefined
      ? null
      : new EvmTreasury(privateKey('treasury_key', treasuryKey, network), network, chain);
  const { confirmations } = network;
  const { log, settleTimeoutMs } = options;
  return new EvmRail(
    network,
    options,
    chain,
    new EmbeddedSettler({ chain, gas, confirmations, log, settleTimeoutMs }),
    treasury,
  );
}

function privateKey(name: string, key: string, { network }: NetworkConfig): Hex {
  if (PRIVATE_KEY.test(key)) return `0x${key.replace(/^0x/, '')}`;
  const message = `${name} of ${network} must be a private key of 64 hex digits`;
  throw new AppError('not_configured', message);
}

function remoteSettler(
  network: NetworkConfig,
  config: Extract<NetworkConfig['facilitator'], { kind: 'remote' }>,
  options: RailOptions,
  chain: EvmChain | null,
): RemoteSettler {
  const { v1Name, confirmations } = network;
  const { settleTimeoutMs } = options;
  const facilitator = new Facilitator({
    config,
    v1Name,
    log: options.log,
    clock: options.clock,
    ...(options.fetch ? { fetch: options.fetch } : {}),
    ...(settleTimeoutMs === undefined ? {} : { settleTimeoutMs }),
  });
  return new RemoteSettler({
    network: network.network,
    facilitator,
    chain,
    confirmations,
    confirmTimeoutMs: settleTimeoutMs,
  });
}

class EvmRail implements Rail {
  readonly family = 'eip155';
  readonly network: string;
  readonly v1Name: string | null;
  readonly asset: string;
  readonly payTo: string;
  readonly canLookUp: boolean;
  readonly #config: NetworkConfig;
  readonly #options: RailOptions;
  readonly #chain: EvmChain | null;
  readonly #settler: Settler;
  readonly #treasury: EvmTreasury | null;
  #status: RailStatus = { canSettle: false, problem: 'not asked yet' };

  constructor(
    config: NetworkConfig,
    options: RailOptions,
    chain: EvmChain | null,
    settler: Settler,
    treasury: EvmTreasury | null,
  ) {
    this.network = config.network;
    this.v1Name = config.v1Name;
    this.asset = config.asset;
    this.payTo = config.payTo.toLowerCase();
    this.canLookUp = chain !== null;
    this.#config = config;
    this.#options = options;
    this.#chain = chain;
    this.#settler = settler;
    this.#treasury = treasury;
  }

  async refresh(): Promise<RailStatus> {
    const problem = await this.#findProblem().catch((error: unknown) =>
      error instanceof RpcError
        ? 'the RPC endpoint does not answer'
        : 'the network could not be checked',
    );
    const { gasLow } = this.#settler;
    this.#status = { canSettle: problem === null, problem, ...(gasLow && { gasLow }) };
    return this.#status;
  }

  async #findProblem(): Promise<string | null> {
    return (await this.#chain?.problem()) ?? (await this.#settler.problem());
  }

  status(): RailStatus {
    return this.#status;
  }

  requirements(amount: bigint): PaymentRequirements {
    const extra = this.#config.domain ? { ...this.#config.domain } : {};
    return {
      scheme: 'exact',
      network: this.network,
      amount: String(amount),
      asset: this.asset,
      payTo: this.payTo,
      maxTimeoutSeconds: MAX_TIMEOUT_SECONDS,
      extra,
    };
  }

  async decode(payload: unknown, nowMs: number): Promise<SignedPayment> {
    return decodeEvmPayment(this.#config, payload, nowMs);
  }

  async settle(payment: SignedPayment, hooks: SettleHooks): Promise<Evidence> {
    try {
      return await this.#settler.settle(payment, hooks, this.requirements(payment.amount));
    } catch (error) {
      if (!(error instanceof RpcError))
        this.#options.log.error('rail_settle_failed', { network: this.network, error });
      return { state: 'unknown', reason: 'rpc_unavailable', transaction: null };
    }
  }

  async lookup(submission: Submission): Promise<Evidence> {
    const { payment, transaction, rawTransaction } = submission;
    if (this.#chain === null) return { state: 'unknown', reason: 'no_rpc', transaction };
    try {
      const evidence = await readEvidence(
        this.#chain,
        payment,
        transaction,
        this.#config.confirmations,
      );
      const isMissing = evidence.state === 'unknown' && evidence.reason === 'not_found';
      if (!isMissing || rawTransaction === null) return evidence;
      // Nothing is lost by sending it again: the token takes an authorization once.
      const outcome = await this.#chain.broadcast(rawTransaction as Hex);
      await this.#settler.raise?.(rawTransaction as Hex);
      return outcome === 'accepted'
        ? { state: 'unknown', reason: 'rebroadcast', transaction }
        : evidence;
    } catch (error) {
      this.#options.log.error('rail_lookup_failed', { network: this.network, error });
      return { state: 'unknown', reason: 'rpc_unavailable', transaction };
    }
  }

  get treasury(): string | null {
    return this.#treasury?.address ?? null;
  }

  async funds(): Promise<bigint | null> {
    const chain = this.#chain;
    if (chain === null) return null;
    const places = new Set([this.payTo, (this.treasury ?? this.payTo).toLowerCase()]);
    const held = await Promise.all([...places].map((place) => chain.tokenBalance(place)));
    return held.reduce((sum, units) => sum + units, 0n);
  }

  async signPayout(order: PayoutOrder): Promise<SignedPayment> {
    if (this.#treasury) return this.#treasury.sign(order);
    throw new AppError('not_configured', `${this.network} has no treasury_key to pay from.`);
  }

  async findTransfer(query: TransferQuery): Promise<Evidence> {
    const { transaction } = query;
    if (this.#chain === null) return { state: 'unknown', reason: 'no_rpc', transaction };
    try {
      return await findEvmTransfer(this.#chain, this.#config, query);
    } catch (error) {
      this.#options.log.error('rail_lookup_failed', { network: this.network, error });
      return { state: 'unknown', reason: 'rpc_unavailable', transaction };
    }
  }

  paymentsSince(sinceMs: number): AsyncIterable<FoundPayment> {
    if (this.#chain) return evmPaymentsSince(this.#chain, this.#config, sinceMs);
    throw new RpcError('no rpc_url to read the chain with');
  }

  async close(): Promise<void> {}
}

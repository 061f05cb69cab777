/** A chain of its own, a proxy in front of it that may misbehave, and a rail of ours that goes through the proxy. */
import type { Hex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import type {
  Evidence,
  Rail,
  SettleHooks,
  SignedPayment,
  Submission,
} from '../../src/chains/chain.ts';
import { createRail } from '../../src/chains/index.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { FacilitatorConfig, NetworkConfig } from '../../src/config/config.ts';
import { silentLog } from '../../src/log.ts';
import { type Anvil, startAnvil } from './anvil.ts';
import { type PaymentFields, evmNetwork, newWallet, signPayment } from './evm-payment.ts';
import { type RpcProxy, startRpcProxy } from './rpc-proxy.ts';

export const GAS_KEY: Hex = `0x${'6a'.repeat(32)}`;
export const GAS_ADDRESS = privateKeyToAddress(GAS_KEY).toLowerCase();
export const UNITS = 10_000_000n;

export interface Bench {
  chain: Anvil;
  proxy: RpcProxy;
  network: NetworkConfig;
  rail: Rail;
  /** A payment of UNITS by a fresh wallet that holds `funds` (UNITS by default). */
  pay(options?: { funds?: bigint; fields?: Partial<PaymentFields> }): Promise<SignedPayment>;
  close(): Promise<void>;
}

export interface BenchOptions {
  network?: Partial<NetworkConfig>;
  facilitator?: FacilitatorConfig;
  settleTimeoutMs?: number;
  clock?: Clock;
  slotsInEpoch?: number;
}

export async function openBench(options: BenchOptions = {}): Promise<Bench> {
  const chain = await startAnvil(
    options.slotsInEpoch ? { slotsInEpoch: options.slotsInEpoch } : {},
  );
  const proxy = await startRpcProxy(chain.url);
  const facilitator = options.facilitator ?? { kind: 'embedded', gasKey: GAS_KEY };
  const network = evmNetwork(facilitator, proxy.url, options.network);
  const rail = await openRail(network, options);
  await chain.fund(GAS_ADDRESS);
  return {
    chain,
    proxy,
    network,
    rail,
    pay: (what = {}) => pay(chain, rail, network, what.funds ?? UNITS, what.fields ?? {}),
    async close() {
      await rail.close();
      await proxy.stop();
      await chain.stop();
    },
  };
}

export function openRail(network: NetworkConfig, options: BenchOptions = {}): Promise<Rail> {
  return createRail(network, {
    clock: options.clock ?? systemClock,
    log: silentLog,
    dataDir: '',
    mode: 'live',
    settleTimeoutMs: options.settleTimeoutMs ?? 5_000,
  });
}

async function pay(
  chain: Anvil,
  rail: Rail,
  network: NetworkConfig,
  funds: bigint,
  fields: Partial<PaymentFields>,
): Promise<SignedPayment> {
  const wallet = newWallet();
  if (funds > 0n) await chain.mint(wallet.address, funds);
  const now = Math.floor(Date.now() / 1_000);
  return rail.decode(await signPayment(wallet, network, UNITS, now, fields), now * 1_000);
}

export interface Recorder extends SettleHooks {
  stored: { transaction: string; raw: string }[];
}

/** Hooks that keep what was stored, and then do what a test wants done at that moment. */
export function recorder(then: () => Promise<unknown> = async () => {}): Recorder {
  const stored: Recorder['stored'] = [];
  return {
    stored,
    async beforeBroadcast(transaction, raw) {
      stored.push({ transaction, raw });
      await then();
    },
  };
}

/** What payments would keep of a settlement, to look it up later. */
export function submission(
  payment: SignedPayment,
  stored?: { transaction: string; raw: string },
): Submission {
  return {
    payment,
    transaction: stored?.transaction ?? null,
    rawTransaction: stored?.raw ?? null,
    submittedAtMs: Date.now(),
  };
}

/** Fails with the evidence in its message unless the payment is settled. */
export function settledIn(evidence: Evidence): { transaction: string; isFinal: boolean } {
  if (evidence.state !== 'settled') throw new Error(`not settled: ${JSON.stringify(evidence)}`);
  if (evidence.amount !== UNITS) throw new Error(`another amount: ${evidence.amount}`);
  return { transaction: evidence.transaction, isFinal: evidence.isFinal };
}

/** Payments as wallets make them, with the stock x402 client; and rails to take them. */
import { createKeyPairSignerFromBytes } from '@solana/kit';
import { Keypair } from '@solana/web3.js';
import bs58 from 'bs58';
import { ExactSvmScheme } from '@x402/svm/exact/client';
import { createPaymentHeader } from 'x402/client';
import type { PaymentRequirements, Rail, SignedPayment } from '../../src/chains/chain.ts';
import { KNOWN_NETWORKS } from '../../src/chains/networks.ts';
import { createSolanaRail } from '../../src/chains/solana.ts';
import type { FacilitatorConfig, NetworkConfig } from '../../src/config/config.ts';
import { silentLog } from '../../src/log.ts';
import type { SolanaCluster } from './solana.ts';

export interface TestClock {
  offsetMs: number;
  nowMs(): number;
}

export function testClock(): TestClock {
  return {
    offsetMs: 0,
    nowMs() {
      return Date.now() + this.offsetMs;
    },
  };
}

export function solanaConfig(
  cluster: { url: string | null; network: string },
  payTo: string,
  facilitator: FacilitatorConfig,
): NetworkConfig {
  const known = KNOWN_NETWORKS.get(cluster.network)!;
  return {
    network: cluster.network,
    family: 'solana',
    v1Name: known.v1Name,
    payTo,
    asset: known.asset,
    domain: null,
    facilitator,
    rpcUrl: cluster.url,
    confirmations: 1,
  };
}

export interface Shop {
  rail: Rail;
  payTo: string;
  gas: Keypair;
  config: NetworkConfig;
  clock: TestClock;
  /** A rail with the same settings, as after a restart. */
  again(): Rail;
}

/** An embedded rail with a funded gas key and a token account to be paid into. */
export async function openShop(cluster: SolanaCluster, settleTimeoutMs = 2_000): Promise<Shop> {
  const gas = Keypair.generate();
  const payTo = Keypair.generate().publicKey.toBase58();
  cluster.runtime.airdrop(gas.publicKey.toBase58(), 1_000_000_000n);
  cluster.runtime.setTokens(payTo, cluster.mint, 0n);
  const gasKey = bs58.encode(gas.secretKey);
  const config = solanaConfig(cluster, payTo, { kind: 'embedded', gasKey });
  const clock = testClock();
  const again = () =>
    createSolanaRail(config, {
      clock,
      log: silentLog,
      dataDir: '/nonexistent',
      mode: 'live',
      settleTimeoutMs,
    });
  const rail = again();
  await rail.refresh();
  return { rail, payTo, gas, config, clock, again };
}

/** The inner payload that @x402/svm's client signs for a requirement. */
export async function signWithStockClient(
  wallet: Keypair,
  requirements: PaymentRequirements,
  rpcUrl: string,
): Promise<{ transaction: string }> {
  const signer = await createKeyPairSignerFromBytes(wallet.secretKey);
  const scheme = new ExactSvmScheme(signer, { rpcUrl });
  const { payload } = await scheme.createPaymentPayload(2, requirements as never);
  return payload as { transaction: string };
}

/** The same as x402 v1's client signs it: no memo, limit from a simulation. Answers the whole v1 object. */
export async function signWithLegacyClient(
  wallet: Keypair,
  requirements: PaymentRequirements,
  v1Name: string,
  rpcUrl: string,
): Promise<{ scheme: string; network: string; payload: { transaction: string } }> {
  const signer = await createKeyPairSignerFromBytes(wallet.secretKey);
  const { amount, extra, ...rest } = requirements;
  const { memo: _memo, ...legacyExtra } = extra;
  const v1 = {
    ...rest,
    network: v1Name,
    maxAmountRequired: amount,
    resource: 'https://gw.example/x402/top-up',
    description: '',
    mimeType: 'application/json',
    extra: legacyExtra,
  };
  const header = await createPaymentHeader(signer as never, 1, v1 as never, {
    svmConfig: { rpcUrl },
  });
  return JSON.parse(Buffer.from(header, 'base64').toString('utf8')) as never;
}

/** A stock client's payment of `amount` base units, decoded. */
export async function pay(
  shop: Pick<Shop, 'rail'>,
  cluster: SolanaCluster,
  wallet: Keypair,
  amount: bigint,
): Promise<SignedPayment> {
  const payload = await signWithStockClient(wallet, shop.rail.requirements(amount), cluster.url);
  return shop.rail.decode(payload, Date.now());
}

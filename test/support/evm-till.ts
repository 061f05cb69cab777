/** A till on a chain of its own: anvil, a proxy in front of it that may misbehave, and payments signed by fresh wallets. */
import type { Hex } from 'viem';
import type { PrivateKeyAccount } from 'viem/accounts';
import type { EvmPayload } from '../../src/chains/chain.ts';
import type { FacilitatorConfig, NetworkConfig } from '../../src/config/config.ts';
import type { PaymentHeader } from '../../src/payments/header.ts';
import { type Anvil, startAnvil } from './anvil.ts';
import { GAS_ADDRESS, GAS_KEY } from './evm-bench.ts';
import { evmNetwork, newWallet, type PaymentFields, signPayment } from './evm-payment.ts';
import { type RpcProxy, startRpcProxy } from './rpc-proxy.ts';
import { cameAs } from './till.ts';

export const FIVE = 5_000_000n;

export interface EvmShop {
  chain: Anvil;
  proxy: RpcProxy;
  /** Settled by ourselves. */
  network: NetworkConfig;
  through(facilitator: FacilitatorConfig, rpcUrl: string | null): NetworkConfig;
  pay(options?: PayOptions): Promise<Signed>;
  close(): Promise<void>;
}

export interface PayOptions {
  wallet?: PrivateKeyAccount;
  units?: bigint;
  /** What the wallet is given before it signs; the payment's amount by default. */
  funds?: bigint;
  fields?: Partial<PaymentFields>;
}

export interface Signed {
  wallet: PrivateKeyAccount;
  payload: EvmPayload;
  header: PaymentHeader;
  nonce: Hex;
}

export async function openEvmShop(options: { slotsInEpoch?: number } = {}): Promise<EvmShop> {
  const chain = await startAnvil(options);
  const proxy = await startRpcProxy(chain.url);
  const network = evmNetwork({ kind: 'embedded', gasKey: GAS_KEY }, proxy.url);
  await chain.fund(GAS_ADDRESS, 10n ** 20n);
  return {
    chain,
    proxy,
    network,
    through: (facilitator, rpcUrl) => evmNetwork(facilitator, rpcUrl),
    async pay({ wallet = newWallet(), units = FIVE, funds = units, fields = {} } = {}) {
      if (funds > 0n) await chain.mint(wallet.address, funds);
      // By the chain's time, which some tests set forward.
      const now = Math.max(Math.floor(Date.now() / 1_000), await chain.nowSeconds());
      const window = { validAfter: '0', ...fields };
      const payload = await signPayment(wallet, network, units, now, window);
      const nonce = payload.authorization.nonce as Hex;
      return { wallet, payload, header: cameAs(network, payload), nonce };
    },
    async close() {
      await proxy.stop();
      await chain.stop();
    },
  };
}

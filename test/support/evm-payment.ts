/** EVM payments as wallets sign them, in every dialect, and the settings of a network that takes them. */
import { randomBytes } from 'node:crypto';
import type { Hex } from 'viem';
import { type PrivateKeyAccount, generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import type { EvmPayload } from '../../src/chains/chain.ts';
import { KNOWN_NETWORKS } from '../../src/chains/networks.ts';
import type { FacilitatorConfig, NetworkConfig } from '../../src/config/config.ts';

/** Lower-case, as configuration keeps it. Nobody has its key. */
export const PAY_TO = '0x2670b922ef37c7df47158725c0cc407b5382293f';

export interface PaymentFields {
  to: string;
  value: string;
  validAfter: string;
  validBefore: string;
  nonce: Hex;
  /** Overrides of the EIP-712 domain. */
  name: string;
  chainId: number;
  asset: string;
}

export function newWallet(): PrivateKeyAccount {
  return privateKeyToAccount(generatePrivateKey());
}

/** Settings of a built-in EVM network ("eip155:8453" unless named). */
export function evmNetwork(
  facilitator: FacilitatorConfig,
  rpcUrl: string | null,
  overrides: Partial<NetworkConfig> = {},
): NetworkConfig {
  const network = overrides.network ?? 'eip155:8453';
  const known = KNOWN_NETWORKS.get(network);
  if (!known) throw new Error(`unknown network ${network}`);
  const { family, v1Name, asset, domain } = known;
  return {
    network,
    family,
    v1Name,
    payTo: PAY_TO,
    asset,
    domain,
    facilitator,
    rpcUrl,
    confirmations: 1,
    ...overrides,
  };
}

/** Signs a transferWithAuthorization of `units` USDC base units to `network.payTo`, valid for `nowSeconds`-600 .. +300. */
export async function signPayment(
  wallet: PrivateKeyAccount,
  network: NetworkConfig,
  units: bigint | string,
  nowSeconds: number,
  overrides: Partial<PaymentFields> = {},
): Promise<EvmPayload> {
  const authorization = {
    from: wallet.address as string,
    to: overrides.to ?? network.payTo,
    value: overrides.value ?? String(units),
    validAfter: overrides.validAfter ?? String(nowSeconds - 600),
    validBefore: overrides.validBefore ?? String(nowSeconds + 300),
    nonce: overrides.nonce ?? (`0x${randomBytes(32).toString('hex')}` as Hex),
  };
  const signature = await wallet.signTypedData({
    domain: {
      name: overrides.name ?? network.domain?.name ?? '',
      version: '2',
      chainId: overrides.chainId ?? Number(network.network.slice('eip155:'.length)),
      verifyingContract: (overrides.asset ?? network.asset) as Hex,
    },
    types: {
      TransferWithAuthorization: [
        { name: 'from', type: 'address' },
        { name: 'to', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'validAfter', type: 'uint256' },
        { name: 'validBefore', type: 'uint256' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'TransferWithAuthorization',
    message: {
      from: wallet.address,
      to: authorization.to as Hex,
      value: BigInt(authorization.value),
      validAfter: BigInt(authorization.validAfter),
      validBefore: BigInt(authorization.validBefore),
      nonce: authorization.nonce,
    },
  });
  return { signature, authorization };
}

/** EIP-3009 cancelAuthorization of a payment, signed by its payer: the arguments of the token's call. */
export async function signCancel(
  wallet: PrivateKeyAccount,
  network: NetworkConfig,
  nonce: string,
): Promise<readonly [Hex, Hex, number, Hex, Hex]> {
  const signature = await wallet.signTypedData({
    domain: {
      name: network.domain?.name ?? '',
      version: '2',
      chainId: Number(network.network.slice('eip155:'.length)),
      verifyingContract: network.asset as Hex,
    },
    types: {
      CancelAuthorization: [
        { name: 'authorizer', type: 'address' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'CancelAuthorization',
    message: { authorizer: wallet.address, nonce: nonce as Hex },
  });
  const v = Number.parseInt(signature.slice(-2), 16);
  return [
    wallet.address,
    nonce as Hex,
    v,
    `0x${signature.slice(2, 66)}`,
    `0x${signature.slice(66, 130)}`,
  ];
}

/** The three wrappers around one inner payload, as header values. */
export function paymentHeader(
  dialect: 'v1' | 'v2' | 'hybrid',
  network: NetworkConfig,
  payload: unknown,
  extra: Record<string, unknown> = {},
): string {
  const accepted = {
    scheme: 'exact',
    network: network.network,
    amount: '5000000',
    asset: network.asset,
    payTo: network.payTo,
    maxTimeoutSeconds: 300,
    extra: network.domain,
  };
  const name = network.v1Name ?? network.network;
  const v1 = { x402Version: dialect === 'v1' ? 1 : 2, scheme: 'exact', network: name, payload };
  const object = dialect === 'v2' ? { x402Version: 2, accepted, payload } : v1;
  return encodeHeader({ ...object, ...extra });
}

export function encodeHeader(object: unknown): string {
  return Buffer.from(JSON.stringify(object)).toString('base64');
}

/** Signs x402 payments: EVM through the `x402` package (EIP-3009), Solana through @solana/web3.js (an SPL transfer). */
import { Connection } from '@solana/web3.js';
import { privateKeyToAccount } from 'viem/accounts';
import { createPaymentHeader } from 'x402/client';
import { buildSolanaPayment } from '../../src/chains/solana-build.ts';
import type { PaymentRequirements } from '../../src/chains/chain.ts';
import { KNOWN_NETWORKS } from '../../src/chains/networks.ts';
import { WalletError } from './wallet-error.ts';
import type { AgentWallet } from './wallet-file.ts';

export interface PaymentHeaderLine {
  name: 'X-PAYMENT' | 'PAYMENT-SIGNATURE';
  value: string;
}

type LegacyRequirements = Parameters<typeof createPaymentHeader>[2];

/**
 * Signs what `requirement` asks for. Nothing is sent. `rpcUrl` is asked for a recent blockhash when a Solana requirement brings
 * none. Throws WalletError on tokens that are not USDC as this program knows it, and on networks that it cannot sign for.
 */
export async function signPayment(
  wallet: AgentWallet,
  requirement: PaymentRequirements,
  rpcUrl: string | null,
): Promise<PaymentHeaderLine> {
  const known = KNOWN_NETWORKS.get(requirement.network);
  if (!known || known.asset.toLowerCase() !== requirement.asset.toLowerCase()) {
    throw new WalletError(
      `The server asks for token ${requirement.asset} on ${requirement.network}, which is not a USDC that this wallet knows.`,
    );
  }
  if (known.family === 'solana') return signSolana(wallet, requirement, rpcUrl);
  if (known.v1Name === null) {
    throw new WalletError(`This wallet cannot pay on ${known.title}; choose another --network.`);
  }
  return signEvm(wallet, requirement, known.v1Name);
}

async function signEvm(
  wallet: AgentWallet,
  requirement: PaymentRequirements,
  v1Name: string,
): Promise<PaymentHeaderLine> {
  const legacy = {
    scheme: 'exact',
    network: v1Name as LegacyRequirements['network'],
    maxAmountRequired: requirement.amount,
    resource: 'https://example.invalid/',
    description: '',
    mimeType: 'application/json',
    payTo: requirement.payTo,
    maxTimeoutSeconds: requirement.maxTimeoutSeconds,
    asset: requirement.asset,
    extra: requirement.extra,
  } satisfies LegacyRequirements;
  const signer = privateKeyToAccount(wallet.evm.privateKey);
  return { name: 'X-PAYMENT', value: await createPaymentHeader(signer, 1, legacy) };
}

async function signSolana(
  wallet: AgentWallet,
  requirement: PaymentRequirements,
  rpcUrl: string | null,
): Promise<PaymentHeaderLine> {
  const { feePayer, memo, recentBlockhash } = requirement.extra;
  if (typeof feePayer !== 'string') {
    throw new WalletError('The server names no fee payer for Solana, so it cannot be paid there.');
  }
  const transaction = buildSolanaPayment({
    secretKey: wallet.solana.secretKey,
    feePayer,
    payTo: requirement.payTo,
    mint: requirement.asset,
    amount: BigInt(requirement.amount),
    blockhash:
      typeof recentBlockhash === 'string'
        ? recentBlockhash
        : await latestBlockhash(requirement.network, rpcUrl),
    ...(typeof memo === 'string' ? { memo } : {}),
  });
  const payment = { x402Version: 2, accepted: requirement, payload: { transaction } };
  return {
    name: 'PAYMENT-SIGNATURE',
    value: Buffer.from(JSON.stringify(payment)).toString('base64'),
  };
}

async function latestBlockhash(network: string, rpcUrl: string | null): Promise<string> {
  const url = rpcUrl ?? KNOWN_NETWORKS.get(network)?.defaultRpcUrl;
  if (url === undefined) throw new WalletError(`Give --rpc URL of a ${network} node.`);
  try {
    return (await new Connection(url, 'confirmed').getLatestBlockhash()).blockhash;
  } catch (error) {
    throw new WalletError(
      `The Solana node at ${url} gave no recent blockhash; try another --rpc.`,
      {
        cause: error,
      },
    );
  }
}

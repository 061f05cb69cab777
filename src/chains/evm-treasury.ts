/**
 * Money out on EVM. Our own transfers are authorizations (EIP-3009) by the treasury's key, submitted and paid for by the gas wallet as
 * payments are: the token takes an authorization once, so that no crash and no race can pay one order twice, and the treasury needs no
 * gas. Transfers made by hand are plain ones, believed from their receipt.
 */
import { createHash } from 'node:crypto';
import type { Hex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import type { NetworkConfig } from '../config/config.ts';
import type { Evidence, PayoutOrder, SignedPayment, TransferQuery } from './chain.ts';
import type { EvmChain } from './evm-chain.ts';
import { chainIdOf, TRANSFER_WITH_AUTHORIZATION } from './evm-payload.ts';
import { transfersTo } from './evm-token.ts';

/** After that an authorization that never reached the chain is dead, and a fresh one may be signed. */
const VALID_SECONDS = 900;

export class EvmTreasury {
  readonly address: string;
  readonly #account: PrivateKeyAccount;
  readonly #network: NetworkConfig;
  readonly #chain: EvmChain;

  constructor(key: Hex, network: NetworkConfig, chain: EvmChain) {
    this.#account = privateKeyToAccount(key);
    this.address = this.#account.address.toLowerCase();
    this.#network = network;
    this.#chain = chain;
  }

  /** One order has one nonce, however often it is signed. Throws RpcError where the chain's time cannot be read. */
  async sign({ to, amount, reference, attempt }: PayoutOrder): Promise<SignedPayment> {
    const { network, asset, domain } = this.#network;
    const { timestamp } = await this.#chain.block();
    const validBefore = timestamp + VALID_SECONDS;
    const name = `farebox payout ${reference} ${attempt}`;
    const nonce: Hex = `0x${createHash('sha256').update(name).digest('hex')}`;
    const signature = await this.#account.signTypedData({
      domain: {
        name: domain?.name ?? '',
        version: domain?.version ?? '',
        chainId: chainIdOf(network),
        verifyingContract: asset as Hex,
      },
      types: TRANSFER_WITH_AUTHORIZATION,
      primaryType: 'TransferWithAuthorization',
      message: {
        from: this.address as Hex,
        to: to as Hex,
        value: amount,
        validAfter: 0n,
        validBefore: BigInt(validBefore),
        nonce,
      },
    });
    return {
      network,
      family: 'eip155',
      asset,
      payer: this.address,
      payTo: to,
      amount,
      identity: nonce,
      validBeforeSeconds: validBefore,
      payload: {
        signature,
        authorization: {
          from: this.address,
          to,
          value: String(amount),
          validAfter: '0',
          validBefore: String(validBefore),
          nonce,
        },
      },
    };
  }
}

/** Whether a transaction, by whomever, moved exactly that much of the token to a wallet. Throws RpcError. */
export async function findEvmTransfer(
  chain: EvmChain,
  { asset, confirmations }: NetworkConfig,
  { transaction, to, amount, notBeforeMs }: TransferQuery,
): Promise<Evidence> {
  const receipt = await chain.receipt(transaction);
  if (!receipt) return { state: 'unknown', reason: 'not_found', transaction };
  // The head is read after the receipt, so that it is never behind it.
  const head = await chain.block();
  if (head.number - receipt.block + 1n < BigInt(confirmations)) {
    return { state: 'unknown', reason: 'confirming', transaction };
  }
  if (!receipt.isSuccess) return wrong('reverted', 'the transaction was reverted');
  if (!transfersTo(asset, to, receipt.logs).includes(amount)) {
    return wrong('other_transfer', `it does not move ${amount} base units of USDC to ${to}`);
  }
  const { timestamp } = await chain.block(receipt.block);
  if (timestamp * 1_000 < notBeforeMs) {
    return wrong('too_early', 'it was made before the payout was asked for');
  }
  const isFinal = await chain.isFinal(receipt.block, head.number);
  return { state: 'settled', transaction, amount, block: String(receipt.block), isFinal };
}

function wrong(reason: string, message: string): Evidence {
  return { state: 'failed', reason, message };
}

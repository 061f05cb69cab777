/** The first paid call: stock @x402/fetch with a wallet that holds some USDC, no key and no account, wherever the server runs. */
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import type { Anvil } from '../support/anvil.ts';
import { newWallet } from '../support/evm-payment.ts';

export interface PaidCall {
  status: number;
  /** What the model said. */
  text: string;
  usage: { prompt_tokens: number; completion_tokens: number };
  /** X-Request-Cost and X-Balance-Remaining, in US dollars. */
  costUsd: string;
  remainingUsd: string;
  /** USDC base units that left the wallet. */
  paidUnits: bigint;
  seconds: number;
}

const FUNDS = 1_000_000n;

export async function firstPaidCall(
  url: string,
  chain: Anvil,
  model: string,
  prompt = 'hello',
): Promise<PaidCall> {
  const wallet = newWallet();
  await chain.mint(wallet.address, FUNDS);
  const begun = performance.now();
  const paidFetch = wrapFetchWithPaymentFromConfig(fetch, {
    schemes: [
      { network: chain.network as `${string}:${string}`, client: new ExactEvmScheme(wallet) },
    ],
  });
  const answer = await paidFetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: prompt }] }),
  });
  const seconds = (performance.now() - begun) / 1_000;
  const body = await answer.text();
  if (!answer.ok) throw new Error(`the paid call was answered with ${answer.status}: ${body}`);
  const { choices, usage } = JSON.parse(body) as {
    choices: { message: { content: string } }[];
    usage: PaidCall['usage'];
  };
  return {
    status: answer.status,
    text: choices[0]?.message.content ?? '',
    usage,
    costUsd: answer.headers.get('x-request-cost') ?? '',
    remainingUsd: answer.headers.get('x-balance-remaining') ?? '',
    paidUnits: FUNDS - (await chain.balanceOf(wallet.address)),
    seconds,
  };
}

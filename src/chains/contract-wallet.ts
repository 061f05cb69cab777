/** Signatures of contract wallets (EIP-1271, and EIP-6492 for ones not deployed yet), asked of the chain with eth_call alone. */
import { createPublicClient, custom, type Hex } from 'viem';
import type { NetworkConfig } from '../config/config.ts';

/** For everything together: an honest node answers in a fraction of it, and a request is waiting. */
const BUDGET_MS = 3_000;
const GAS_CAP = '0x4c4b40';
const MAX_ANSWER_BYTES = 65_536;

/**
 * Answers whether `signature` over the EIP-191 `message` is good for the contract at `address` on `network` (CAIP-2). Never
 * throws: no RPC, no answer in time and any error are "no". Null when no EVM network has an RPC.
 */
export function contractWalletVerifier(
  networks: NetworkConfig[],
  fetchRpc: typeof fetch = fetch,
):
  | ((network: string, address: string, message: string, signature: string) => Promise<boolean>)
  | null {
  const urls = new Map(
    networks.flatMap(({ network, family, rpcUrl }) =>
      family === 'eip155' && rpcUrl !== null ? [[network, rpcUrl] as const] : [],
    ),
  );
  if (!urls.size) return null;
  return async (network, address, message, signature) => {
    const url = urls.get(network);
    if (url === undefined) return false;
    const signal = AbortSignal.timeout(BUDGET_MS);
    const client = createPublicClient({
      transport: custom({ request: (call) => rpc(fetchRpc, url, call, signal) }, { retryCount: 0 }),
    });
    const late = new Promise<boolean>((resolve) => {
      signal.addEventListener('abort', () => resolve(false), { once: true });
    });
    const check = client
      .verifyMessage({ address: address as Hex, message, signature: signature as Hex })
      .catch(() => false);
    return Promise.race([check, late]);
  };
}

async function rpc(
  fetchRpc: typeof fetch,
  url: string,
  call: { method: string; params?: unknown },
  signal: AbortSignal,
): Promise<unknown> {
  if (call.method !== 'eth_call' && call.method !== 'eth_getCode') {
    throw new Error(`${call.method} is not asked for a sign-in`);
  }
  const response = await fetchRpc(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: call.method, params: capGas(call) }),
    redirect: 'error',
    signal,
  });
  const text = await response.text();
  if (text.length > MAX_ANSWER_BYTES) throw new Error('the answer is too large');
  const answer = JSON.parse(text) as { result?: unknown; error?: { message?: string } };
  if (answer.error) throw new Error(answer.error.message ?? 'the call failed');
  return answer.result;
}

function capGas({ method, params }: { method: string; params?: unknown }): unknown {
  if (method !== 'eth_call' || !Array.isArray(params)) return params;
  const [first, ...rest] = params as [object, ...unknown[]];
  return [{ ...first, gas: GAS_CAP }, ...rest];
}

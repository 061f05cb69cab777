/** What the sandbox is made of when nothing says otherwise: two test networks with play money, and the demo upstream. */
import { createHash } from 'node:crypto';
import bs58 from 'bs58';
import { SOLANA_DEVNET } from '../chains/networks.ts';
import { ed25519Public } from './addresses.ts';

export const SANDBOX_EVM = 'eip155:84532';
export const SANDBOX_NETWORKS: readonly string[] = [SANDBOX_EVM, SOLANA_DEVNET];
export const DEMO_CHANNEL = 'demo';

/** An address to take play money at, the same at every start. */
export function sandboxPayTo(network: string): string {
  const seed = createHash('sha256').update(`farebox sandbox pay_to ${network}`).digest();
  if (network === SANDBOX_EVM) return `0x${seed.toString('hex', 0, 20)}`;
  // A point on the curve, as the address of any wallet is.
  return bs58.encode(ed25519Public(seed));
}

/** In the file's form. The address is put in by the program, once its demo upstream listens. */
export function demoChannels(): Record<string, unknown>[] {
  return [
    {
      id: DEMO_CHANNEL,
      provider: 'openai',
      base_url: 'http://127.0.0.1:0',
      concurrency: 256,
      // Provider keys can be tried out: the demo upstream takes any.
      vendor: DEMO_CHANNEL,
    },
  ];
}

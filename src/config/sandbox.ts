/** What the sandbox is made of when nothing says otherwise: two test networks with play money, and the demo upstream. */
import { createHash } from 'node:crypto';
import bs58 from 'bs58';
import { SOLANA_DEVNET } from '../chains/networks.ts';
import { ed25519Public } from './addresses.ts';
import type { Config } from './config.ts';
import { type Environment, text } from './environment.ts';
import type { Faults } from './fault.ts';

export const SANDBOX_EVM = 'eip155:84532';
export const SANDBOX_NETWORKS: readonly string[] = [SANDBOX_EVM, SOLANA_DEVNET];
export const DEMO_CHANNEL = 'demo';
/** The same upstream, for what is made by tasks. */
export const DEMO_MEDIA_CHANNEL = 'demo-media';
const MAX_DELAY_MS = 3_600_000;

/** An address to take play money at, the same at every start. */
export function sandboxPayTo(network: string): string {
  const seed = createHash('sha256').update(`farebox sandbox pay_to ${network}`).digest();
  if (network === SANDBOX_EVM) return `0x${seed.toString('hex', 0, 20)}`;
  // A point on the curve, as the address of any wallet is.
  return bs58.encode(ed25519Public(seed));
}

/** How long a demo job takes, and how many of them fail: SANDBOX_DELAY_MS (milliseconds), SANDBOX_FAILURE_RATE (0 to 1). */
export function readDemo(environment: Environment, faults: Faults): NonNullable<Config['demo']> {
  const delay = text(environment, 'SANDBOX_DELAY_MS');
  const rate = text(environment, 'SANDBOX_FAILURE_RATE');
  const delayMs = Number(delay);
  if (delay !== null && !(/^[0-9]+$/.test(delay) && delayMs <= MAX_DELAY_MS)) {
    faults.add('SANDBOX_DELAY_MS', `must be a whole number of milliseconds, to ${MAX_DELAY_MS}`);
  }
  if (rate !== null && !/^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$/.test(rate)) {
    faults.add('SANDBOX_FAILURE_RATE', 'must be a number from 0 to 1');
  }
  return {
    ...(delay !== null && { delayMs }),
    ...(rate !== null && { failureRate: Number(rate) }),
  };
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
    {
      id: DEMO_MEDIA_CHANNEL,
      provider: 'demo',
      base_url: 'http://127.0.0.1:0',
      concurrency: 64,
      vendor: null,
    },
  ];
}

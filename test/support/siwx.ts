import { randomBytes } from 'node:crypto';
import bs58 from 'bs58';
import nacl from 'tweetnacl';
import { privateKeyToAccount } from 'viem/accounts';
import { createSiwx, type Siwx, type SiwxOptions } from '../../src/auth/siwx.ts';
import { formatMessage, type SiwxMessage } from '../../src/auth/siwx-message.ts';
import { manualClock } from './store.ts';

export const ORIGIN = 'https://gw.example.com';
export const EVM = privateKeyToAccount(`0x${'11'.repeat(32)}`);
export const SOLANA = nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(7));
export const SOLANA_ADDRESS = bs58.encode(SOLANA.publicKey);
export const BASE = 'eip155:8453';
export const SOLANA_MAINNET = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';

export interface Bench {
  siwx: Siwx;
  clock: ReturnType<typeof manualClock>;
  nonces: Set<string>;
}

export function openSiwx(changes: Partial<SiwxOptions> = {}): Bench {
  const clock = manualClock();
  const nonces = new Set<string>();
  const siwx = createSiwx({
    siwx: { replay: 'single-use', maxAgeSeconds: 300, extraDomains: [] },
    origins: [ORIGIN],
    networks: [BASE, SOLANA_MAINNET],
    useNonce: async (id) => {
      const isNew = !nonces.has(id);
      nonces.add(id);
      return isNew;
    },
    verifyContractWallet: null,
    clock,
    ...changes,
  });
  return { siwx, clock, nonces };
}

export function message(clock: { ms: number }, changes: Partial<SiwxMessage> = {}): SiwxMessage {
  return {
    domain: 'gw.example.com',
    address: EVM.address,
    statement: 'Sign in',
    uri: `${ORIGIN}/v1/chat/completions`,
    version: '1',
    chainId: '8453',
    nonce: randomBytes(8).toString('hex'),
    issuedAt: new Date(clock.ms).toISOString(),
    expirationTime: null,
    notBefore: null,
    requestId: null,
    resources: [],
    ...changes,
  };
}

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64');

/** Venice's form on EVM: the text and its signature. */
export async function venice(
  clock: { ms: number },
  changes: Partial<SiwxMessage> = {},
  fields: Record<string, unknown> = {},
): Promise<string> {
  const text = formatMessage('eip155', message(clock, changes));
  return veniceText(text, fields);
}

export async function veniceText(
  text: string,
  fields: Record<string, unknown> = {},
): Promise<string> {
  const signature = await EVM.signMessage({ message: text });
  return encode({
    address: EVM.address,
    message: text,
    signature,
    timestamp: 1,
    chainId: 8453,
    ...fields,
  });
}

/** Venice's form on Solana. */
export function solana(
  clock: { ms: number },
  changes: Partial<SiwxMessage> = {},
  fields: Record<string, unknown> = {},
): string {
  const text = formatMessage('solana', solanaMessage(clock, changes));
  const signature = bs58.encode(nacl.sign.detached(Buffer.from(text), SOLANA.secretKey));
  return encode({
    address: SOLANA_ADDRESS,
    message: text,
    signature,
    timestamp: 1,
    chainId: SOLANA_MAINNET,
    type: 'ed25519',
    ...fields,
  });
}

export function solanaMessage(
  clock: { ms: number },
  changes: Partial<SiwxMessage> = {},
): SiwxMessage {
  return message(clock, {
    address: SOLANA_ADDRESS,
    chainId: '5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp',
    ...changes,
  });
}

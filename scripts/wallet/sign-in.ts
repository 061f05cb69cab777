/** Signs SIGN-IN-WITH-X headers: EIP-4361 by siwe for EVM, the same text for Solana, signed with Ed25519. */
import { randomBytes } from 'node:crypto';
import bs58 from 'bs58';
import { SiweMessage } from 'siwe';
import nacl from 'tweetnacl';
import { privateKeyToAccount } from 'viem/accounts';
import type { AgentWallet } from './wallet-file.ts';

const VALID_MS = 240_000;
const STATEMENT = 'Sign in to this gateway';

export interface SignInRequest {
  /** The resource that is asked for; its origin is what the signature is bound to. */
  url: URL;
  /** CAIP-2 id of a network that the server takes: "eip155:8453", "solana:5eyk…". */
  network: string;
}

/** The value of a SIGN-IN-WITH-X header, for one request. */
export async function signIn(wallet: AgentWallet, request: SignInRequest): Promise<string> {
  const isSolana = request.network.startsWith('solana:');
  const value = isSolana ? signInSolana(wallet, request) : await signInEvm(wallet, request);
  return Buffer.from(JSON.stringify(value)).toString('base64');
}

function times(): { issuedAt: string; expirationTime: string } {
  const now = Date.now();
  return {
    issuedAt: new Date(now).toISOString(),
    expirationTime: new Date(now + VALID_MS).toISOString(),
  };
}

async function signInEvm({ evm }: AgentWallet, { url, network }: SignInRequest) {
  const message = new SiweMessage({
    domain: url.host,
    address: evm.address,
    statement: STATEMENT,
    uri: url.href,
    version: '1',
    chainId: Number(network.slice('eip155:'.length)),
    nonce: randomBytes(16).toString('hex'),
    ...times(),
  }).prepareMessage();
  const signature = await privateKeyToAccount(evm.privateKey).signMessage({ message });
  return { address: evm.address, message, signature, timestamp: Date.now(), chainId: network };
}

function signInSolana({ solana }: AgentWallet, { url, network }: SignInRequest) {
  const { issuedAt, expirationTime } = times();
  const message = [
    `${url.host} wants you to sign in with your Solana account:`,
    solana.address,
    '',
    STATEMENT,
    '',
    `URI: ${url.href}`,
    'Version: 1',
    `Chain ID: ${network.slice('solana:'.length)}`,
    `Nonce: ${randomBytes(16).toString('hex')}`,
    `Issued At: ${issuedAt}`,
    `Expiration Time: ${expirationTime}`,
  ].join('\n');
  const signature = bs58.encode(nacl.sign.detached(Buffer.from(message), solana.secretKey));
  const { address } = solana;
  return { address, message, signature, timestamp: Date.now(), chainId: network, type: 'ed25519' };
}

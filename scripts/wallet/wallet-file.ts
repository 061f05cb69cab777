/** A wallet for people who try Farebox: one EVM key and one Solana key in a file that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Keypair } from '@solana/web3.js';
import bs58 from 'bs58';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { WalletError } from './wallet-error.ts';

export interface AgentWallet {
  evm: { privateKey: `0x${string}`; address: `0x${string}` };
  /** 64 bytes: seed and public key. */
  solana: { secretKey: Uint8Array; address: string };
}

export type Chain = 'evm' | 'solana';

interface WalletFile {
  version: 1;
  evm: string;
  solana: string;
}

const EVM_KEY = /^0x[0-9a-f]{64}$/;
const OTHERS_MAY_ACCESS = 0o077;

/** A wallet that no file knows. */
export function randomWallet(): AgentWallet {
  return walletOf(generatePrivateKey(), Keypair.fromSeed(randomBytes(32)).secretKey);
}

function walletOf(privateKey: `0x${string}`, secretKey: Uint8Array): AgentWallet {
  const address = Keypair.fromSecretKey(secretKey).publicKey.toBase58();
  return {
    evm: { privateKey, address: privateKeyToAccount(privateKey).address },
    solana: { secretKey, address },
  };
}

/** Writes a new wallet; throws WalletError when the file is there already. */
export async function createWallet(path: string): Promise<AgentWallet> {
  const wallet = randomWallet();
  const content: WalletFile = {
    version: 1,
    evm: wallet.evm.privateKey,
    solana: bs58.encode(wallet.solana.secretKey),
  };
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new WalletError(`${path} is there already. Take another --file, or keep using it.`);
  });
  try {
    await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return wallet;
}

/** Throws WalletError when there is no such file, others may read it, or it holds something else. */
export async function openWallet(path: string): Promise<AgentWallet> {
  const info = await stat(path).catch(() => null);
  if (info === null) {
    throw new WalletError(`There is no wallet at ${path}. Make one with: npm run wallet -- new`);
  }
  if (process.platform !== 'win32' && info.mode & OTHERS_MAY_ACCESS) {
    throw new WalletError(`Others may read ${path}. Close it with: chmod 600 ${path}`);
  }
  try {
    const content = JSON.parse(await readFile(path, 'utf8')) as Partial<WalletFile>;
    const { evm = '', solana = '' } = content;
    if (!EVM_KEY.test(evm)) throw new RangeError('"evm" is not a private key');
    return walletOf(evm as `0x${string}`, bs58.decode(solana));
  } catch (error) {
    throw new WalletError(`${path} is not a wallet file of this program.`, { cause: error });
  }
}

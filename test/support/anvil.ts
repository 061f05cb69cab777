/**
 * A real EVM chain for tests: anvil from npm on a free port, with our token (test/fixtures/token) at the address of USDC on
 * that network. Kill it with stop().
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Hex, encodeFunctionData, hexToBigInt, parseAbi, toHex } from 'viem';
import { freePort } from '../../scripts/free-port.ts';
import { KNOWN_NETWORKS } from '../../src/chains/networks.ts';

const STARTUP_MS = 15_000;
const MINED_MS = 2_000;
const ETHER = 10n ** 18n;
export const TOKEN_ABI = parseAbi([
  'function balanceOf(address) view returns (uint256)',
  'function authorizationState(address, bytes32) view returns (bool)',
  'function mint(address to, uint256 value)',
  'function transfer(address to, uint256 value) returns (bool)',
  'function blacklist(address account, bool on)',
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  'function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
]);
export const BUNDLER_ABI = parseAbi(['function run(address token, bytes[] calls)']);

/** Unlocked, funded account of anvil (its first): sends whatever a test needs sent by somebody. */
export const STRANGER = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266';

export interface AnvilOptions {
  /** 8453 (Base) by default. */
  chainId?: number;
  /** Port to listen on; a free one by default. */
  port?: number;
  /** The `finalized` tag trails the newest block by twice this many blocks; 1 by default. */
  slotsInEpoch?: number;
}

export interface Anvil {
  url: string;
  chainId: number;
  network: string;
  /** USDC's address, lower-case. */
  token: Hex;
  rpc<T = unknown>(method: string, params?: unknown[]): Promise<T>;
  /** Sends a transaction from STRANGER and answers its hash once it is mined, or after 2 s while automine is off. */
  send(to: string, data: Hex): Promise<Hex>;
  mint(to: string, units: bigint): Promise<void>;
  /** USDC base units. */
  balanceOf(address: string): Promise<bigint>;
  /** Gives native coin for gas (1 by default). */
  fund(address: string, wei?: bigint): Promise<void>;
  setCode(address: string, fixture: 'runtime' | 'bundler' | 'silent'): Promise<void>;
  mine(blocks?: number): Promise<void>;
  /** Unix seconds of the newest block. */
  nowSeconds(): Promise<number>;
  stop(): Promise<void>;
}

/** Null where the platform has no anvil binary: the suite then skips. */
export function anvilBinary(): string | null {
  const require = createRequire(import.meta.url);
  try {
    return require.resolve(`@foundry-rs/anvil-${process.platform}-${nameOfArch()}/bin/anvil`);
  } catch {
    return null;
  }
}

function nameOfArch(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

/** Starts a chain whose clock begins now. */
export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const binary = anvilBinary();
  if (binary === null) throw new Error('no anvil binary for this platform');
  const chainId = options.chainId ?? 8453;
  const network = `eip155:${chainId}`;
  const known = KNOWN_NETWORKS.get(network);
  if (!known) throw new Error(`no USDC known on ${network}`);
  const port = options.port ?? (await freePort());
  const child = spawn(
    binary,
    ['--chain-id', `${chainId}`, '--port', `${port}`, '--silent'].concat([
      '--slots-in-an-epoch',
      `${options.slotsInEpoch ?? 1}`,
    ]),
    { stdio: 'ignore' },
  );
  const url = `http://127.0.0.1:${port}`;
  const chain = describeChain(url, chainId, network, known.asset as Hex, child);
  try {
    await untilReady(chain, child);
    await chain.setCode(chain.token, 'runtime');
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return chain;
}

function describeChain(
  url: string,
  chainId: number,
  network: string,
  token: Hex,
  child: ChildProcess,
): Anvil {
  const rpc = <T>(method: string, params: unknown[] = []) => jsonRpc<T>(url, method, params);
  const sendNow = async (to: string, data: Hex) => {
    const transaction = { from: STRANGER, to, data, gas: toHex(1_000_000) };
    const hash = await rpc<Hex>('eth_sendTransaction', [transaction]);
    // The node answers before it mines.
    const deadline = Date.now() + MINED_MS;
    while (Date.now() < deadline && !(await rpc('eth_getTransactionReceipt', [hash])))
      await pause();
    return hash;
  };
  // One after another: the node gives two that come at once the same nonce.
  let tail: Promise<unknown> = Promise.resolve();
  const send = (to: string, data: Hex) => {
    const turn = tail.then(() => sendNow(to, data));
    tail = turn.catch(() => {});
    return turn;
  };
  return {
    url,
    chainId,
    network,
    token,
    rpc,
    send,
    async mint(to, units) {
      const args = [to as Hex, units] as const;
      await send(token, encodeFunctionData({ abi: TOKEN_ABI, functionName: 'mint', args }));
    },
    async balanceOf(address) {
      const args = [address as Hex] as const;
      const data = encodeFunctionData({ abi: TOKEN_ABI, functionName: 'balanceOf', args });
      return hexToBigInt(await rpc<Hex>('eth_call', [{ to: token, data }, 'latest']));
    },
    async fund(address, wei = ETHER) {
      await rpc('anvil_setBalance', [address, toHex(wei)]);
    },
    async setCode(address, fixture) {
      await rpc('anvil_setCode', [address, fixtureCode(fixture)]);
    },
    async mine(blocks = 1) {
      await rpc('anvil_mine', [toHex(blocks)]);
    },
    async nowSeconds() {
      const block = await rpc<{ timestamp: Hex }>('eth_getBlockByNumber', ['latest', false]);
      return Number(block.timestamp);
    },
    stop: () => stopChild(child),
  };
}

function fixtureCode(name: string): string {
  return readFileSync(new URL(`../fixtures/token/${name}.hex`, import.meta.url), 'utf8').trim();
}

async function jsonRpc<T>(url: string, method: string, params: unknown[]): Promise<T> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const body = (await answer.json()) as { result: T; error?: { message: string } };
  if (body.error) throw new Error(`${method}: ${body.error.message}`);
  return body.result;
}

async function untilReady(chain: Anvil, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + STARTUP_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const isUp = await chain.rpc('eth_chainId').then(
      () => true,
      () => false,
    );
    if (isUp) return;
    await pause();
  }
  throw new Error(`anvil did not start (exit code ${child.exitCode})`);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

/**
 * A real Solana runtime for tests, behind the part of the JSON-RPC that wallets, facilitators and our rail use, with USDC minted by
 * decree. It can be told to misbehave as nodes and clusters do.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Keypair } from '@solana/web3.js';
import bs58 from 'bs58';
import { KNOWN_NETWORKS, SOLANA_MAINNET } from '../../src/chains/networks.ts';
import { type Landed, SolanaRuntime } from './solana-runtime.ts';

export { SolanaRuntime } from './solana-runtime.ts';

type Params = unknown[];
type Config = Record<string, unknown>;

export interface SolanaCluster {
  url: string;
  network: string;
  /** USDC's mint. */
  mint: string;
  runtime: SolanaRuntime;
  /** How often each method was called. */
  calls: Map<string, number>;
  /** The next `times` sends are answered with the signature and lost. */
  dropSends(times: number): void;
  /** The next `times` calls of the method are done, then the connection is cut instead of answered. */
  cut(method: string, times: number): void;
  /** Calls of the method are answered that much later; 0 ends it. */
  delay(method: string, ms: number): void;
  /** Newly landed transactions stay `processed` while true. */
  withhold(on: boolean): void;
  /** A wallet with that much USDC (base units) and no SOL. */
  wallet(units: bigint): Keypair;
  stop(): Promise<void>;
}

/** False where the platform has no litesvm binary: the suite then skips. */
export async function hasSolana(): Promise<boolean> {
  return import('litesvm').then(
    () => true,
    () => false,
  );
}

export async function startSolana(network = SOLANA_MAINNET): Promise<SolanaCluster> {
  const { LiteSVM } = await import('litesvm');
  const mint = KNOWN_NETWORKS.get(network)?.asset;
  if (mint === undefined) throw new Error(`no USDC known on ${network}`);
  const runtime = new SolanaRuntime(new LiteSVM());
  runtime.setMint(mint, Keypair.generate().publicKey.toBase58());
  const node = new Node(runtime, network);
  const server = createServer((request, response) => void node.serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    network,
    mint,
    runtime,
    calls: node.calls,
    dropSends: (times) => void (node.drops = times),
    cut: (method, times) => void node.cuts.set(method, times),
    delay: (method, ms) => void node.delays.set(method, ms),
    withhold: (on) => void (node.isWithheld = on),
    wallet(units) {
      const wallet = Keypair.generate();
      runtime.setTokens(wallet.publicKey.toBase58(), mint, units);
      return wallet;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class RpcFailure extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

class Node {
  drops = 0;
  isWithheld = false;
  readonly cuts = new Map<string, number>();
  readonly delays = new Map<string, number>();
  readonly calls = new Map<string, number>();
  readonly #runtime: SolanaRuntime;
  readonly #network: string;

  constructor(runtime: SolanaRuntime, network: string) {
    this.#runtime = runtime;
    this.#network = network;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
    const answer = Array.isArray(body)
      ? await Promise.all(body.map((one) => this.#answer(one as Config)))
      : await this.#answer(body as Config);
    if (answer === 'cut') {
      response.destroy();
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answer));
  }

  async #answer({ id, method, params }: Config): Promise<unknown> {
    const name = String(method);
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    const delayMs = this.delays.get(name) ?? 0;
    if (delayMs > 0) await sleep(delayMs);
    let outcome: object;
    try {
      outcome = { result: this.#run(name, (params ?? []) as Params) };
    } catch (error) {
      const code = error instanceof RpcFailure ? error.code : -32_603;
      outcome = { error: { code, message: error instanceof Error ? error.message : 'failed' } };
    }
    const cuts = this.cuts.get(name) ?? 0;
    if (cuts > 0) {
      this.cuts.set(name, cuts - 1);
      return 'cut';
    }
    return { jsonrpc: '2.0', id, ...outcome };
  }

  #run(method: string, [first, second]: Params): unknown {
    const runtime = this.#runtime;
    const config = (second ?? {}) as Config;
    switch (method) {
      case 'getGenesisHash':
        return `${this.#network.slice('solana:'.length)}0`.padEnd(44, '1');
      case 'getSlot':
        return runtime.slot;
      case 'getBlockTime':
        return Math.floor(runtime.finalizedAtMs / 1_000);
      case 'getBlockHeight':
        return runtime.slot;
      case 'getEpochInfo':
        return { absoluteSlot: runtime.slot, blockHeight: runtime.slot, epoch: 1, slotIndex: 1 };
      case 'getMinimumBalanceForRentExemption':
        return Number(runtime.svm.minimumBalanceForRentExemption(BigInt(first as number)));
      case 'getFeeForMessage':
        return this.#at(10_000);
      case 'getBalance':
        return this.#at(runtime.lamports(first as string));
      case 'getAccountInfo':
        return this.#at(this.#account(first as string));
      case 'getMultipleAccounts':
        return this.#at((first as string[]).map((address) => this.#account(address)));
      case 'getTokenAccountBalance':
        return this.#at(this.#tokenBalance(first as string));
      case 'getLatestBlockhash':
        return this.#at({
          blockhash: runtime.blockhash(),
          lastValidBlockHeight: runtime.slot + 150,
        });
      case 'isBlockhashValid':
        return this.#at(
          runtime.isBlockhashValid(first as string, String(config['commitment'])),
          config,
        );
      default:
        return this.#transactions(method, first, config);
    }
  }

  #transactions(method: string, first: unknown, config: Config): unknown {
    switch (method) {
      case 'simulateTransaction':
        return this.#simulate(wireOf(first, config), config);
      case 'sendTransaction':
        return this.#send(wireOf(first, config), config);
      case 'getSignatureStatuses':
        return this.#at((first as string[]).map((signature) => this.#status(signature)));
      case 'getTransaction':
        return this.#transaction(first as string, config);
      case 'getSignaturesForAddress':
        return this.#signatures(first as string, config);
      default:
        throw new RpcFailure(-32_601, `Method not found: ${method}`);
    }
  }

  #at(value: unknown, config: Config = {}): object {
    const isFinal = config['commitment'] === 'finalized';
    const slot = isFinal ? this.#runtime.finalizedSlot : this.#runtime.slot;
    return { context: { slot, apiVersion: '2.2.0' }, value };
  }

  #account(address: string): object | null {
    const account = this.#runtime.account(address);
    if (account === null) return null;
    return {
      data: [Buffer.from(account.data).toString('base64'), 'base64'],
      executable: account.executable,
      lamports: Number(account.lamports),
      owner: account.programAddress,
      rentEpoch: 0,
      space: account.data.length,
    };
  }

  #tokenBalance(address: string): object {
    const account = this.#runtime.account(address);
    if (account === null) throw new RpcFailure(-32_602, 'could not find account');
    const amount = String(Buffer.from(account.data).readBigUInt64LE(64));
    return { amount, decimals: 6, uiAmount: Number(amount) / 1e6, uiAmountString: amount };
  }

  #simulate(wire: Buffer, config: Config): object {
    const { err, logs, units } = this.#runtime.simulate(wire, {
      sigVerify: config['sigVerify'] === true,
      replaceBlockhash: config['replaceRecentBlockhash'] === true,
    });
    const replacementBlockhash =
      config['replaceRecentBlockhash'] === true
        ? { blockhash: this.#runtime.blockhash(), lastValidBlockHeight: this.#runtime.slot + 150 }
        : null;
    return this.#at({
      err,
      logs,
      accounts: null,
      unitsConsumed: units,
      returnData: null,
      innerInstructions: [],
      replacementBlockhash,
    });
  }

  #send(wire: Buffer, config: Config): string {
    if (this.drops > 0) {
      this.drops -= 1;
      return bs58.encode(wire.subarray(1, 65));
    }
    const signature = bs58.encode(wire.subarray(1, 65));
    if (config['skipPreflight'] !== true && !this.#runtime.find(signature)) {
      const { err } = this.#runtime.simulate(wire, { sigVerify: true, replaceBlockhash: false });
      if (err !== null) throw new RpcFailure(-32_002, `simulation failed: ${JSON.stringify(err)}`);
    }
    return this.#runtime.send(wire);
  }

  #level(entry: Landed): string {
    if (entry.slot <= this.#runtime.finalizedSlot) return 'finalized';
    return this.isWithheld ? 'processed' : 'confirmed';
  }

  #status(signature: string): object | null {
    const entry = this.#runtime.find(signature);
    if (!entry) return null;
    const confirmationStatus = this.#level(entry);
    const confirmations = confirmationStatus === 'finalized' ? null : 1;
    const { slot, err } = entry;
    return {
      slot,
      confirmations,
      confirmationStatus,
      err,
      status: err ? { Err: err } : { Ok: null },
    };
  }

  #transaction(signature: string, config: Config): object | null {
    const entry = this.#runtime.find(signature);
    if (!entry || this.#level(entry) === 'processed') return null;
    if (config['encoding'] !== 'base64') throw new RpcFailure(-32_602, 'only base64 here');
    return {
      slot: entry.slot,
      blockTime: entry.blockTime,
      version: 0,
      transaction: [entry.wire.toString('base64'), 'base64'],
      meta: {
        err: entry.err,
        fee: entry.fee,
        logMessages: entry.logs,
        innerInstructions: [],
        preTokenBalances: entry.before,
        postTokenBalances: entry.after,
      },
    };
  }

  #signatures(address: string, config: Config): object[] {
    const all = this.#runtime.landed
      .filter((entry) => entry.keys.includes(address) && this.#level(entry) !== 'processed')
      .reverse();
    const { before, limit } = config;
    const from =
      before === undefined ? 0 : all.findIndex((entry) => entry.signature === before) + 1;
    return all.slice(from, from + Number(limit ?? 1_000)).map((entry) => {
      const { signature, slot, err, memo, blockTime } = entry;
      return { signature, slot, err, memo, blockTime, confirmationStatus: this.#level(entry) };
    });
  }
}

function wireOf(value: unknown, config: Config): Buffer {
  if (config['encoding'] !== 'base64') throw new RpcFailure(-32_602, 'only base64 here');
  return Buffer.from(value as string, 'base64');
}

/** Talks to one Farebox on behalf of one wallet: signs in, pays, asks. What goes wrong comes out as a sentence. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PaymentRequirements } from '../../src/chains/chain.ts';
import { type NanoUsd, formatUsd, toUsdcUnits } from '../../src/money.ts';
import { signPayment } from './pay.ts';
import { signIn } from './sign-in.ts';
import { WalletError } from './wallet-error.ts';
import type { AgentWallet, Chain } from './wallet-file.ts';

const TIMEOUT_MS = 180_000;
const MAX_PENDING_TRIES = 10;
const DEFAULT_RETRY_SECONDS = 2;
const MAX_RETRY_SECONDS = 30;

export interface GatewayOptions {
  url: string;
  wallet: AgentWallet;
  chain: Chain;
  /** CAIP-2 id, when the chain's first advertised network is not the one. */
  network?: string | undefined;
  rpcUrl?: string | undefined;
}

export interface ToppedUp {
  walletAddress: string;
  amountCredited: number;
  newBalance: number;
  paymentId: string;
}

export interface TransactionRow {
  id: string;
  amount: number;
  balanceAfter: number;
  type: string;
  createdAt: string;
  modelId: string | null;
}

export interface PaymentRequired {
  accepts: PaymentRequirements[];
  /** Networks that wallets may sign in for. */
  signInNetworks: string[];
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #origin: URL;
  #signInNetwork: string | null = null;

  constructor(options: GatewayOptions) {
    this.#options = options;
    if (!URL.canParse(options.url)) {
      throw new WalletError(`--url ${options.url} is not a URL such as http://127.0.0.1:8402`);
    }
    this.#origin = new URL(options.url);
  }

  get address(): string {
    const { wallet, chain } = this.#options;
    return chain === 'evm' ? wallet.evm.address : wallet.solana.address;
  }

  /** What a top-up of `amount` would have to pay, on each network. */
  async requirements(amount: NanoUsd | null): Promise<PaymentRequired> {
    const answer = await this.#send('POST', topUpPath(amount), {});
    const body = await json(answer);
    if (answer.status !== 402) throw failure(answer, body);
    const header = answer.headers.get('payment-required') ?? '';
    return {
      accepts: accepts(body),
      signInNetworks: signInNetworks(Buffer.from(header, 'base64').toString('utf8')),
    };
  }

  /** Pays `amount` into the wallet's balance. A payment whose outcome is not known yet is sent again, never signed again. */
  async topUp(amount: NanoUsd): Promise<ToppedUp> {
    const { accepts } = await this.requirements(amount);
    const requirement = this.#choose(accepts);
    if (BigInt(requirement.amount) !== toUsdcUnits(amount)) {
      throw new WalletError(
        `The server asks for ${requirement.amount} USDC units instead of $${formatUsd(amount)}: nothing was paid.`,
      );
    }
    const { wallet, rpcUrl = null } = this.#options;
    const { name, value } = await signPayment(wallet, requirement, rpcUrl);
    for (let tries = 1; ; tries += 1) {
      const answer = await this.#send('POST', topUpPath(amount), { headers: { [name]: value } });
      const body = await json(answer);
      if (answer.ok) return (body as { data: ToppedUp }).data;
      if (answer.status !== 503 || tries >= MAX_PENDING_TRIES) throw failure(answer, body);
      const wait = Number(answer.headers.get('retry-after') ?? DEFAULT_RETRY_SECONDS);
      await sleep(Math.min(wait, MAX_RETRY_SECONDS) * 1_000);
    }
  }

  /** The raw answer of a chat request; throws WalletError when it is not 200. */
  async chat(body: object): Promise<Response> {
    const answer = await this.#signed('POST', '/v1/chat/completions', body);
    if (!answer.ok) throw failure(answer, await json(answer));
    return answer;
  }

  /** Any route of the wallet's own; the answer's JSON. */
  async ask<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const answer = await this.#signed(method, path, body);
    const told = await json(answer);
    if (!answer.ok) throw failure(answer, told);
    return told as T;
  }

  async models(): Promise<string[]> {
    const answer = await this.#send('GET', '/v1/models', {});
    const body = await json(answer);
    if (!answer.ok) throw failure(answer, body);
    return (body as { data: { id: string }[] }).data.map((model) => model.id);
  }

  async balance(): Promise<{ balanceUsd: number; canConsume: boolean; minimumTopUpUsd: number }> {
    const answer = await this.#signed('GET', `/v1/x402/balance/${this.address}`);
    const body = await json(answer);
    if (!answer.ok) throw failure(answer, body);
    return (body as { data: { balanceUsd: number; canConsume: boolean; minimumTopUpUsd: number } })
      .data;
  }

  async transactions(limit: number): Promise<TransactionRow[]> {
    const path = `/v1/x402/transactions/${this.address}?limit=${limit}`;
    const answer = await this.#signed('GET', path);
    const body = await json(answer);
    if (!answer.ok) throw failure(answer, body);
    return (body as { data: { transactions: TransactionRow[] } }).data.transactions;
  }

  async #signed(method: string, path: string, body?: object): Promise<Response> {
    this.#signInNetwork ??= this.#chooseSignIn((await this.requirements(null)).signInNetworks);
    const url = new URL(path, this.#origin);
    const header = await signIn(this.#options.wallet, { url, network: this.#signInNetwork });
    return this.#send(method, path, { body, headers: { 'SIGN-IN-WITH-X': header } });
  }

  async #send(
    method: string,
    path: string,
    { body, headers = {} }: { body?: object | undefined; headers?: Record<string, string> },
  ): Promise<Response> {
    try {
      return await fetch(new URL(path, this.#origin), {
        method,
        headers: { ...headers, ...(body ? { 'Content-Type': 'application/json' } : {}) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    } catch (error) {
      throw new WalletError(`No answer from ${this.#origin.origin}. Is Farebox running there?`, {
        cause: error,
      });
    }
  }

  #choose(accepts: PaymentRequirements[]): PaymentRequirements {
    const network = this.#pickNetwork(accepts.map((each) => each.network));
    const found = accepts.find((each) => each.network === network);
    if (found) return found;
    throw new WalletError(
      `The server takes no payment on ${this.#wanted()}; it offers: ${accepts.map((each) => each.network).join(', ') || 'nothing'}.`,
    );
  }

  #chooseSignIn(networks: string[]): string {
    const network = this.#pickNetwork(networks);
    if (network !== undefined) return network;
    throw new WalletError(
      `The server takes no sign-in for ${this.#wanted()}; it offers: ${networks.join(', ') || 'none'}.`,
    );
  }

  #pickNetwork(networks: string[]): string | undefined {
    const { network, chain } = this.#options;
    if (network !== undefined) return networks.find((each) => each === network);
    const family = chain === 'evm' ? 'eip155:' : 'solana:';
    return networks.find((each) => each.startsWith(family));
  }

  #wanted(): string {
    return this.#options.network ?? this.#options.chain;
  }
}

function topUpPath(amount: NanoUsd | null): string {
  return amount === null ? '/v1/x402/top-up' : `/v1/x402/top-up?amount_usd=${formatUsd(amount)}`;
}

async function json(answer: Response): Promise<unknown> {
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function accepts(body: unknown): PaymentRequirements[] {
  const list = (body as { accepts?: unknown }).accepts;
  return Array.isArray(list) ? (list as PaymentRequirements[]) : [];
}

function signInNetworks(header: string): string[] {
  try {
    const parsed = JSON.parse(header) as {
      extensions?: { 'sign-in-with-x'?: { supportedChains?: { chainId: string }[] } };
    };
    const chains = parsed.extensions?.['sign-in-with-x']?.supportedChains ?? [];
    return chains.map((chain) => chain.chainId);
  } catch {
    return [];
  }
}

/** Both error dialects, and answers of something that is not Farebox. */
function failure(answer: Response, body: unknown): WalletError {
  const { error, message, code } = (typeof body === 'object' && body ? body : {}) as {
    error?: string | { message?: string; code?: string };
    message?: string;
    code?: string;
  };
  const inner = typeof error === 'object' ? error : {};
  const text = inner.message ?? message ?? (typeof error === 'string' ? error : undefined);
  const name = inner.code ?? code ?? (message === undefined ? undefined : error);
  const said = text ?? 'it did not answer as Farebox does';
  const hint = answer.status === 402 ? ' Pay some in with: npm run wallet -- topup AMOUNT' : '';
  return new WalletError(
    `${answer.status}${typeof name === 'string' ? ` ${name}` : ''}: ${said}${hint}`,
  );
}

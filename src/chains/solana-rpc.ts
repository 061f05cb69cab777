/**
 * The few JSON-RPC calls of a Solana node that settlement needs. Our own rather than web3.js's Connection, which retries by itself,
 * opens sockets and reads answers of any length. URLs are never logged: they often carry a key.
 */
export type Fetch = typeof fetch;

const REQUEST_MS = 10_000;
const MAX_ANSWER_BYTES = 2 * 1_048_576;

/** The node answered with an error: code as in JSON-RPC, and Solana's -32001 to -32019. */
export class SolanaRpcError extends Error {
  override readonly name = 'SolanaRpcError';
  readonly code: number;
  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message.slice(0, 300)} (${code})`);
    this.code = code;
  }
}

export interface SignatureStatus {
  slot: number;
  err: unknown;
  confirmationStatus: 'processed' | 'confirmed' | 'finalized' | null;
}

export interface TokenBalance {
  accountIndex: number;
  mint: string;
  /** Of the token account; nodes that are very old leave it out. */
  owner?: string;
  uiTokenAmount: { amount: string };
}

export interface ConfirmedTransaction {
  slot: number;
  /** Unix seconds. */
  blockTime?: number | null;
  /** Base64 of the wire transaction, and the word 'base64'. */
  transaction: [string, string];
  meta: {
    err: unknown;
    preTokenBalances: TokenBalance[] | null;
    postTokenBalances: TokenBalance[] | null;
  } | null;
}

export interface AccountInfo {
  lamports: number;
  owner: string;
  data: [string, string];
}

export interface AddressSignature {
  signature: string;
  err: unknown;
  memo: string | null;
  blockTime: number | null;
}

/** An answer with the slot it was read at. */
export interface At<T> {
  slot: number;
  value: T;
}

type Contextual<T> = { context: { slot: number }; value: T };

export class SolanaRpc {
  readonly #url: string;
  readonly #fetch: Fetch;

  constructor(url: string, fetcher: Fetch) {
    this.#url = url;
    this.#fetch = fetcher;
  }

  genesisHash(): Promise<string> {
    return this.#call('getGenesisHash', []);
  }

  async accounts(addresses: string[]): Promise<(AccountInfo | null)[]> {
    const config = { encoding: 'base64', commitment: 'confirmed' };
    return (
      await this.#call<Contextual<(AccountInfo | null)[]>>('getMultipleAccounts', [
        addresses,
        config,
      ])
    ).value;
  }

  async signatureStatus(signature: string): Promise<At<SignatureStatus | null>> {
    const config = { searchTransactionHistory: true };
    const { context, value } = await this.#call<Contextual<(SignatureStatus | null)[]>>(
      'getSignatureStatuses',
      [[signature], config],
    );
    return { slot: context.slot, value: value[0] ?? null };
  }

  async latestBlockhash(): Promise<string> {
    const { value } = await this.#call<Contextual<{ blockhash: string }>>('getLatestBlockhash', [
      { commitment: 'confirmed' },
    ]);
    return value.blockhash;
  }

  async isBlockhashValid(
    blockhash: string,
    commitment: 'processed' | 'finalized',
  ): Promise<At<boolean>> {
    const { context, value } = await this.#call<Contextual<boolean>>('isBlockhashValid', [
      blockhash,
      { commitment },
    ]);
    return { slot: context.slot, value };
  }

  /** Unix seconds of a block; null when the node cannot say. */
  blockTime(slot: number): Promise<number | null> {
    return this.#call('getBlockTime', [slot]);
  }

  /** The error that the transaction would end in, null when it would succeed. */
  async simulate(transaction: string): Promise<{ err: unknown; logs: string[] }> {
    const config = { encoding: 'base64', sigVerify: false, commitment: 'confirmed' };
    const { value } = await this.#call<Contextual<{ err: unknown; logs: string[] | null }>>(
      'simulateTransaction',
      [transaction, config],
    );
    return { err: value.err, logs: value.logs ?? [] };
  }

  /** Answers the signature. Without preflight: a send that the node refuses to simulate could still have gone out before. */
  send(transaction: string): Promise<string> {
    return this.#call('sendTransaction', [
      transaction,
      { encoding: 'base64', skipPreflight: true, maxRetries: 0 },
    ]);
  }

  transaction(signature: string): Promise<ConfirmedTransaction | null> {
    return this.#call('getTransaction', [
      signature,
      { encoding: 'base64', commitment: 'confirmed', maxSupportedTransactionVersion: 0 },
    ]);
  }

  /** Newest first, those older than `before` when given; at most `limit`. */
  signaturesFor(
    address: string,
    limit: number,
    before: string | null,
    minContextSlot: number,
  ): Promise<AddressSignature[]> {
    const config = { limit, commitment: 'confirmed', minContextSlot };
    return this.#call('getSignaturesForAddress', [
      address,
      before === null ? config : { ...config, before },
    ]);
  }

  async #call<T>(method: string, params: unknown[]): Promise<T> {
    const answer = await this.#fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      redirect: 'error',
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    const text = await readText(method, answer);
    const body = parseBody<T>(method, answer.status, text);
    if (body.error) throw new SolanaRpcError(method, body.error.code, body.error.message);
    if (!('result' in body)) throw new Error(`${method}: HTTP ${answer.status} without a result`);
    return body.result as T;
  }
}

interface Body<T> {
  result?: T;
  error?: { code: number; message: string };
}

function parseBody<T>(method: string, status: number, text: string): Body<T> {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null) return body as Body<T>;
  } catch {
    // Said below, with the status: proxies answer 429 and 502 in HTML.
  }
  throw new Error(`${method}: HTTP ${status}, not JSON`);
}

async function readText(method: string, answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES)
      throw new Error(`${method}: answer above ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

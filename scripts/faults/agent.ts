/** A wallet that tops up and chats against a sandbox server, and remembers every answer it was given. */
import { randomBytes } from 'node:crypto';
import { type Hex, type PrivateKeyAccount } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';

export interface Acknowledged {
  /** Payment id to USDC base units. */
  deposits: Map<string, bigint>;
  /** Request id to what it cost, as X-Request-Cost said. */
  charges: Map<string, string>;
}

interface Requirement {
  network: string;
  amount: string;
  asset: Hex;
  payTo: Hex;
  extra: { name: string; version: string };
}

const ATTEMPT_MS = 5_000;

export class Agent {
  readonly account: PrivateKeyAccount = privateKeyToAccount(generatePrivateKey());
  readonly acknowledged: Acknowledged = { deposits: new Map(), charges: new Map() };
  readonly #origin: string;
  /** Answers that were neither a success nor expected under faults. */
  readonly surprises: string[] = [];
  /** A payment whose outcome is not known yet; it is sent again, never a new one. */
  #pending: { header: string; units: bigint } | null = null;

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** Pays `usd` dollars of play money; a payment that got no answer is sent again on the next call. */
  async topUp(usd: number): Promise<void> {
    this.#pending ??= await this.#sign(usd);
    const { header, units } = this.#pending;
    const response = await this.#fetch('/x402/top-up', { 'payment-signature': header });
    if (response.status === 503 || response.status === 409) return;
    const body = (await response.json()) as { data?: { paymentId: string } };
    if (response.status !== 200 || !body.data) {
      this.surprises.push(`top-up answered ${response.status} ${JSON.stringify(body)}`);
    } else this.acknowledged.deposits.set(body.data.paymentId, units);
    this.#pending = null;
  }

  async chat(stream: boolean): Promise<void> {
    const response = await this.#fetch(
      '/v1/chat/completions',
      { 'sign-in-with-x': await this.#signIn() },
      { model: 'demo-chat', stream, messages: [{ role: 'user', content: 'Say something.' }] },
    );
    const text = await response.text();
    if (response.status === 503) return;
    const id = response.headers.get('x-request-id');
    const cost = stream
      ? /"cost":"([0-9.]+)"/.exec(text)?.[1]
      : response.headers.get('x-request-cost');
    if (response.status !== 200 || !id) {
      this.surprises.push(`chat answered ${response.status} ${text.slice(0, 200)}`);
    } else if (cost) this.acknowledged.charges.set(id, cost);
  }

  get hasPendingPayment(): boolean {
    return this.#pending !== null;
  }

  #fetch(path: string, headers: Record<string, string>, body?: object): Promise<Response> {
    return fetch(`${this.#origin}${path}`, {
      method: 'POST',
      headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(ATTEMPT_MS),
    });
  }

  async #sign(usd: number): Promise<{ header: string; units: bigint }> {
    const asked = await this.#fetch('/x402/top-up', {});
    const { accepts } = (await asked.json()) as { accepts?: Requirement[] };
    const requirement = accepts?.find(({ network }) => network.startsWith('eip155:'));
    if (!requirement) throw new Error(`top-up offers nothing on EVM (${asked.status})`);
    const units = BigInt(usd) * 1_000_000n;
    const authorization = {
      from: this.account.address,
      to: requirement.payTo,
      value: String(units),
      validAfter: '0',
      validBefore: String(Math.floor(Date.now() / 1000) + 3_000),
      nonce: `0x${randomBytes(32).toString('hex')}` as Hex,
    };
    const signature = await this.account.signTypedData({
      domain: {
        name: requirement.extra.name,
        version: requirement.extra.version,
        chainId: Number(requirement.network.split(':')[1]),
        verifyingContract: requirement.asset,
      },
      types: TRANSFER_TYPES,
      primaryType: 'TransferWithAuthorization',
      message: {
        ...authorization,
        value: units,
        validAfter: 0n,
        validBefore: BigInt(authorization.validBefore),
      },
    });
    const accepted = { ...requirement, scheme: 'exact', amount: String(units) };
    const payload = { x402Version: 2, accepted, payload: { signature, authorization } };
    return { header: base64(payload), units };
  }

  async #signIn(): Promise<string> {
    const issuedAt = new Date().toISOString();
    const nonce = randomBytes(8).toString('hex');
    const host = new URL(this.#origin).host;
    const message = `${host} wants you to sign in with your Ethereum account:\n${this.account.address}\n\nSign in\n\nURI: ${this.#origin}\nVersion: 1\nChain ID: 84532\nNonce: ${nonce}\nIssued At: ${issuedAt}`;
    const signature = await this.account.signMessage({ message });
    const { address } = this.account;
    return base64({ address, message, signature, timestamp: Date.now(), chainId: 84532 });
  }
}

const TRANSFER_TYPES = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
} as const;

function base64(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64');
}

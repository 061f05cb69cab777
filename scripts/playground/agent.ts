/** An agent with a wallet of play money: asks what it costs, is told to pay, pays, is answered. It says each step as it takes it. */
import type { PaymentRequirements } from '../../src/chains/chain.ts';
import { formatUsd, nanoUsd } from '../../src/money.ts';
import {
  cut,
  MAX_BODY_CHARS,
  MAX_RESULTS,
  MAX_TEXT_CHARS,
  type Figures,
  type RunEvent,
  type Wanted,
} from '../../src/playground/protocol.ts';
import { signPayment } from '../wallet/pay.ts';
import { signIn } from '../wallet/sign-in.ts';
import type { AgentWallet } from '../wallet/wallet-file.ts';
import { readAnswer } from './answers.ts';
import { type Asked, exchangeOf, SAMPLE_SECONDS, type Sent, sentOf } from './exchange.ts';
import type { Results } from './results.ts';

/** The header without which the sandbox answers nobody. */
export const GATE = 'x-farebox-playground';

export interface AgentOptions {
  id: string;
  url: string;
  gate: string;
  wallet: AgentWallet;
  wanted: Wanted;
  emit(event: RunEvent): void;
  signal: AbortSignal;
  results: Results;
}

interface Task {
  id: string;
  status: string;
  charged_usd: string;
  result: { data: { url: string; content_type: string }[] } | null;
  error: { message: string; code: string } | null;
}

/** The sandbox answers in one breath, or at the end of a task. */
const WAIT_SECONDS = 30;
const MAX_WAITS = 4;
const MAX_RESULT_BYTES = 24 * 1024 * 1024;
const UNITS_TO_NANO = 1_000n;
const MAX_MESSAGE_CHARS = 500;

export class Agent {
  readonly #options: AgentOptions;
  #network = '';
  #results = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  /** Answers why it came to nothing; null where all went well. */
  async run(): Promise<string | null> {
    const { wanted, wallet } = this.#options;
    await this.#estimate();
    const unpaid = await this.#send('Ask without paying', sentOf(wanted));
    const told = await this.#tell(unpaid);
    if (unpaid.answer.status !== 402) {
      return `It answers ${unpaid.answer.status} before anybody pays. ${messageIn(told)}`.trim();
    }
    const requirement = this.#choose(unpaid.answer);
    this.#figures({
      asked: formatUsd(nanoUsd(BigInt(requirement.amount) * UNITS_TO_NANO)),
      network: requirement.network,
      payer: this.#address,
      before: await this.#balance(),
    });
    const { name, value } = await signPayment(wallet, requirement, null);
    const paid = await this.#send('Pay and ask again', sentOf(wanted, [[name, value]]));
    const failure = await this.#served(paid);
    this.#figures({ after: await this.#balance() });
    return failure;
  }

  /** Reads what was paid for. Answers why it is none. */
  async #served(paid: Asked): Promise<string | null> {
    const { answer } = paid;
    if (!answer.ok) {
      const message = messageIn(await this.#tell(paid));
      return `It answers ${answer.status}, and serves nothing. ${message}`.trim();
    }
    const type = answer.headers.get('content-type') ?? '';
    if (/^(image|audio|video)\//.test(type)) {
      const bytes = await bytesOf(answer);
      await this.#keep(type, bytes);
      this.#exchange(paid, `(${bytes.length} bytes of ${type})`);
      this.#figures(costIn(answer));
      return null;
    }
    let length = 0;
    const read = await readAnswer(answer, (text) => {
      length += text.length;
      if (length <= MAX_TEXT_CHARS) this.#options.emit({ type: 'text', text });
    });
    this.#exchange(paid, read.raw);
    this.#figures({ ...costIn(answer), ...(read.cost !== null && { cost: read.cost }) });
    if (read.taskId !== null) return this.#follow(read.taskId);
    return read.error;
  }

  /** A task, to its end. */
  async #follow(id: string): Promise<string | null> {
    for (let tries = 0; tries < MAX_WAITS; tries += 1) {
      const path = `/v1/tasks/${id}?wait=${WAIT_SECONDS}`;
      const asked = await this.#signed('Wait for the task', path);
      const text = await this.#tell(asked);
      if (!asked.answer.ok) return `Its task answers ${asked.answer.status}.`;
      const task = JSON.parse(text) as Task;
      if (task.status === 'pending' || task.status === 'processing') continue;
      this.#figures({ cost: task.charged_usd });
      for (const { url, content_type: type } of task.result?.data ?? []) {
        const { answer } = await this.#fetch(new URL(url), { method: 'GET', headers: [] });
        await this.#keep(type, await bytesOf(answer));
      }
      const { error } = task;
      return task.status === 'completed' ? null : (error?.message ?? `It is ${task.status}.`);
    }
    return 'Its task took too long.';
  }

  async #estimate(): Promise<void> {
    const { wanted } = this.#options;
    const path = '/v1/credits/estimate';
    // How long a recording is would only show in the request itself.
    const body = wanted.isForm ? { ...wanted.body, input_seconds: SAMPLE_SECONDS } : wanted.body;
    const sent = sentOf({ ...wanted, path, body, isForm: false });
    const asked = await this.#send('Ask what it will cost', sent);
    const text = await this.#tell(asked);
    if (!asked.answer.ok) return;
    const { usd } = JSON.parse(text) as { usd: { expected: string; max: string } };
    this.#figures({ expected: usd.expected, most: usd.max });
  }

  get #address(): string {
    const { wallet, wanted } = this.#options;
    return wanted.chain === 'evm' ? wallet.evm.address : wallet.solana.address;
  }

  /** Decimal dollars, as the header says them. */
  async #balance(): Promise<string> {
    const { answer } = await this.#signed('', `/v1/x402/balance/${this.#address}`);
    await answer.body?.cancel();
    return answer.headers.get('x-balance-remaining') ?? '';
  }

  #choose(answer: Response): PaymentRequirements {
    const header = answer.headers.get('payment-required') ?? '';
    const { accepts = [], extensions } = JSON.parse(Buffer.from(header, 'base64').toString()) as {
      accepts?: PaymentRequirements[];
      extensions?: { 'sign-in-with-x'?: { supportedChains?: { chainId: string }[] } };
    };
    const family = this.#options.wanted.chain === 'evm' ? 'eip155:' : 'solana:';
    const found = accepts.find(({ network }) => network.startsWith(family));
    if (!found) throw new Error('The 402 names no network that this wallet can pay on.');
    const signIns = extensions?.['sign-in-with-x']?.supportedChains ?? [];
    this.#network = signIns.find(({ chainId }) => chainId.startsWith(family))?.chainId ?? '';
    return found;
  }

  async #signed(title: string, path: string): Promise<Asked> {
    const { url: origin, wallet } = this.#options;
    const url = new URL(path, origin);
    const header = await signIn(wallet, { url, network: this.#network });
    return this.#send(title, { method: 'GET', path, headers: [['SIGN-IN-WITH-X', header]] });
  }

  #send(title: string, sent: Sent): Promise<Asked> {
    return this.#fetch(new URL(sent.path, this.#options.url), sent, title);
  }

  async #fetch(url: URL, sent: Omit<Sent, 'path'>, title = ''): Promise<Asked> {
    const { gate, signal } = this.#options;
    const startedAt = performance.now();
    const headers = new Headers([
      ...sent.headers.map(([name, value]) => [name, value] as [string, string]),
      [GATE, gate],
    ]);
    const answer = await fetch(url, {
      method: sent.method,
      headers,
      signal,
      redirect: 'error',
      ...(sent.body !== undefined && { body: sent.body }),
    });
    return { title, sent: { path: url.pathname + url.search, ...sent }, answer, startedAt };
  }

  /** Says the step with its body as text, and answers that. */
  async #tell(asked: Asked): Promise<string> {
    const text = (await bytesOf(asked.answer)).toString('utf8');
    this.#exchange(asked, text);
    return text;
  }

  #exchange(asked: Asked, body: string): void {
    const exchange = exchangeOf(asked, cut(body, MAX_BODY_CHARS));
    this.#options.emit({ type: 'exchange', exchange });
  }

  #figures(figures: Partial<Figures>): void {
    this.#options.emit({ type: 'figures', figures });
  }

  async #keep(type: string, bytes: Buffer): Promise<void> {
    const { id, results, emit } = this.#options;
    if (this.#results >= MAX_RESULTS) return;
    const result = await results.keep(`${id}-${this.#results++}`, type, bytes);
    emit({ type: 'result', result });
  }
}

function costIn(answer: Response): Partial<Figures> {
  const cost = answer.headers.get('x-request-cost');
  return cost === null ? {} : { cost };
}

async function bytesOf(answer: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += (chunk as Uint8Array).length;
    if (size > MAX_RESULT_BYTES) throw new Error(`The answer is over ${MAX_RESULT_BYTES} bytes.`);
    chunks.push(chunk as Uint8Array);
  }
  return Buffer.concat(chunks);
}

/** Of any dialect's error. */
function messageIn(text: string): string {
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    const inner =
      typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
    const said = [inner, message].find((each) => typeof each === 'string') ?? '';
    return said.slice(0, MAX_MESSAGE_CHARS);
  } catch {
    return '';
  }
}

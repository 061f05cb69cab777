/** The one request that has a key: what it answers is recorded as it goes out, and stored with what is charged for it. */
import { AppError } from '../errors.ts';
import type { Hold, Ledger, Resolution, WriteTx } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { NanoUsd } from '../money.ts';
import { answerRow, freeRow, leftRunning, type NewRow } from './rows.ts';
import type { End } from './slot.ts';
import { MAX_BODY_BYTES, placeOf, sealAnswer, type StoredAnswer } from './stored-answer.ts';

export interface RunTools {
  ledger: Ledger;
  log: Log;
  /** Kept with the answer. */
  headers: () => Record<string, string>;
  sealWith: Buffer;
  /** Told how much was stored. */
  kept(bytes: number): void;
  /** Ends the slot. */
  end(how: End): void;
}

/** What goes out once the charge is known: all of an answer, or, where `head` is null, what follows the part that went out before. */
export interface LastPart {
  head: Pick<StoredAnswer, 'status' | 'headers'> | null;
  bytes: Buffer;
}

export class Run {
  readonly #row: NewRow;
  readonly #tools: RunTools;
  #head: Pick<StoredAnswer, 'status' | 'headers'> | null = null;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isStored = false;

  constructor(row: NewRow, tools: RunTools) {
    this.#row = row;
    this.#tools = tools;
  }

  /** What its hold must be called. */
  get holdId(): string {
    const { holdId } = this.#row;
    if (holdId === null) throw new AppError('internal', 'a request that takes no hold');
    return holdId;
  }

  /** Records what goes out. */
  head(status: number, headers: Record<string, string>): void {
    this.#head = { status, headers: { ...headers } };
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= MAX_BODY_BYTES) this.#chunks.push(chunk);
    else this.#chunks = [];
  }

  /** Charges for the answer and stores it, in one transaction; where there is no room for it, charges alone. */
  async capture(
    hold: Hold,
    cost: NanoUsd,
    usage: string | null,
    last: (resolution: Resolution) => LastPart,
  ): Promise<Resolution> {
    const { ledger } = this.#tools;
    try {
      let bytes = 0;
      const resolution = await ledger.captureWith(hold, cost, usage, async (tx, charged) => {
        bytes = await this.#store(tx, last(charged));
      });
      if (!resolution.wasResolvedBefore) this.#stored(bytes);
      return resolution;
    } catch (error) {
      this.#failed(error);
      return ledger.capture(hold, cost, usage);
    }
  }

  /** Stores what says that something was made. Never throws: it was made all the same. */
  async made(answer: StoredAnswer): Promise<void> {
    const { status, headers, body } = answer;
    const part = { head: { status, headers }, bytes: body };
    try {
      this.#stored(await this.#tools.ledger.write((tx) => this.#store(tx, part)));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** In the transaction that makes something: the answer that says so. What it answers is called once that is durable. */
  async madeIn(tx: WriteTx, { status, headers, body }: StoredAnswer): Promise<() => void> {
    const bytes = await this.#store(tx, { head: { status, headers }, bytes: body });
    return () => this.#stored(bytes);
  }

  /** Does it; afterwards the key has its answer, or is free, or says that its answer is gone. */
  async during(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.#end(error);
      throw error;
    }
    await this.#end(null);
  }

  async #end(error: unknown): Promise<void> {
    let how: End = 'again';
    try {
      if (!this.#isStored) await this.#tools.ledger.write((tx) => this.#letGo(tx, error));
      const isSame = !this.#isStored && error instanceof AppError && error.code !== 'client_closed';
      if (isSame) how = error;
    } catch (failure) {
      this.#failed(failure);
    } finally {
      this.#chunks = [];
      this.#tools.end(how);
    }
  }

  async #letGo(tx: WriteTx, error: unknown): Promise<void> {
    const { holdId, principal, key } = this.#row;
    // Every write is all or nothing, so a refusal made nothing; after a fault of ours nobody knows.
    const isRefusal = error instanceof AppError && error.code !== 'internal';
    if (holdId === null && isRefusal) await freeRow(tx, this.#row);
    else await leftRunning(tx, { principal, key, hold_id: holdId });
  }

  /** Answers how many bytes the row takes. */
  async #store(tx: WriteTx, { head, bytes }: LastPart): Promise<number> {
    const begun = head ?? this.#head;
    const size = head ? bytes.length : this.#bytes + bytes.length;
    if (!begun || size > MAX_BODY_BYTES) {
      await answerRow(tx, this.#row, null);
      return 0;
    }
    const body = head ? bytes : Buffer.concat([...this.#chunks, bytes], size);
    const { sealWith, headers } = this.#tools;
    const sealed = sealAnswer(sealWith, placeOf(this.#row), {
      status: begun.status,
      headers: { ...headers(), ...begun.headers },
      body,
    });
    await answerRow(tx, this.#row, sealed);
    return sealed.length;
  }

  #stored(bytes: number): void {
    this.#isStored = true;
    this.#tools.kept(bytes);
  }

  #failed(error: unknown): void {
    this.#tools.log.error('idempotency_not_kept', { requestId: this.#row.requestId, error });
  }
}

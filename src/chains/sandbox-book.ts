/**
 * The ledger of the play chain: who has how much play USDC, and which payments happened. One JSON file per network, replaced
 * atomically; an answer is given only once it is on disk, and answers that wait together share one write.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Every wallet begins with 1,000 play USDC. */
export const STARTING_UNITS = 1_000_000_000n;
const MAX_WALLETS = 10_000;
const MAX_PAYMENTS = 10_000;
/** Payments younger than this are never forgotten, so that lookups of anything still open find them. */
const KEPT_MS = 24 * 3_600_000;

export interface BookedPayment {
  transaction: string;
  /** Base units, decimal. */
  amount: string;
  block: number;
  atMs: number;
}

export interface Move {
  /** What is unique about the payment on this chain. */
  key: string;
  payer: string;
  payTo: string;
  amount: bigint;
  transaction: string;
  atMs: number;
}

interface File {
  version: 1;
  /** Key of the blockhashes that this chain hands out. */
  seed: string;
  block: number;
  /** Payments made at or before this instant may have been forgotten. */
  forgottenUntilMs: number;
  /** Difference to the starting balance, decimal, by wallet. */
  changes: [string, string][];
  payments: [string, BookedPayment][];
}

export class SandboxBook {
  readonly #path: string;
  readonly #changes: Map<string, bigint>;
  readonly #payments: Map<string, BookedPayment>;
  #block: number;
  #forgottenUntilMs: number;
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  readonly seed: string;

  /** Reads the book, or begins one. Throws when the file cannot be read or made sense of. */
  static async open(path: string): Promise<SandboxBook> {
    await mkdir(dirname(path), { recursive: true });
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    });
    if (text !== null) {
      const file = JSON.parse(text) as File;
      if (file.version !== 1) throw new Error(`version ${file.version} is not known`);
      return new SandboxBook(path, file);
    }
    const book = new SandboxBook(path, {
      version: 1,
      seed: randomBytes(32).toString('hex'),
      block: 1,
      forgottenUntilMs: 0,
      changes: [],
      payments: [],
    });
    await book.#save();
    return book;
  }

  private constructor(path: string, file: File) {
    this.#path = path;
    this.seed = file.seed;
    this.#block = file.block;
    this.#forgottenUntilMs = file.forgottenUntilMs;
    this.#changes = new Map(file.changes.map(([wallet, units]) => [wallet, BigInt(units)]));
    this.#payments = new Map(file.payments);
  }

  balanceOf(wallet: string): bigint {
    return STARTING_UNITS + (this.#changes.get(wallet) ?? 0n);
  }

  payment(key: string): BookedPayment | null {
    return this.#payments.get(key) ?? null;
  }

  /** Whether a payment of that time might have been here and be gone. */
  hasForgotten(atMs: number): boolean {
    return atMs <= this.#forgottenUntilMs;
  }

  /** Moves the money once, durably; a key that was used answers what it was used for. */
  async move(move: Move): Promise<BookedPayment | 'insufficient_funds' | 'full'> {
    const known = this.#payments.get(move.key);
    if (known) {
      await this.#save();
      return known;
    }
    if (this.balanceOf(move.payer) < move.amount) return 'insufficient_funds';
    if (!this.#hasRoom(move)) return 'full';
    this.#block += 1;
    this.#add(move.payer, -move.amount);
    this.#add(move.payTo, move.amount);
    const { transaction, atMs } = move;
    const booked = { transaction, amount: String(move.amount), block: this.#block, atMs };
    this.#payments.set(move.key, booked);
    await this.#save();
    return booked;
  }

  /** Waits for writes under way. */
  async close(): Promise<void> {
    await (this.#next ?? this.#writing).catch(() => {});
  }

  #add(wallet: string, units: bigint): void {
    this.#changes.set(wallet, (this.#changes.get(wallet) ?? 0n) + units);
  }

  #hasRoom({ payer, payTo, atMs }: Move): boolean {
    const fresh = [payer, payTo].filter((wallet) => !this.#changes.has(wallet)).length;
    if (this.#changes.size + fresh > MAX_WALLETS) return false;
    if (this.#payments.size < MAX_PAYMENTS) return true;
    const oldest = this.#payments.entries().next().value;
    if (!oldest || oldest[1].atMs > atMs - KEPT_MS) return false;
    this.#forgottenUntilMs = Math.max(this.#forgottenUntilMs, oldest[1].atMs);
    this.#payments.delete(oldest[0]);
    return true;
  }

  /** Resolves when everything up to now is on disk. Whoever comes while a write runs shares the next one. */
  #save(): Promise<void> {
    this.#next ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#next = null;
        this.#writing = this.#write();
        return this.#writing;
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const file: File = {
      version: 1,
      seed: this.seed,
      block: this.#block,
      forgottenUntilMs: this.#forgottenUntilMs,
      changes: [...this.#changes].map(([wallet, units]) => [wallet, String(units)]),
      payments: [...this.#payments],
    };
    const temporary = `${this.#path}.new`;
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify(file));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.#path);
    const directory = await open(dirname(this.#path), 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

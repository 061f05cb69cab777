/**
 * Reads the inner payload of a Solana `exact` payment: a version 0 transaction with one SPL transfer to us, signed by the payer and
 * waiting for the fee payer's signature. Rules: x402 "exact" on SVM, read strictly, since whoever signs as fee payer pays for what
 * the transaction does. Needs no network.
 */
import { createHash } from 'node:crypto';
import { type MessageV0, PublicKey, VersionedTransaction } from '@solana/web3.js';
import type { NetworkConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { SignedPayment } from './chain.ts';
import { verifyEd25519 } from './ed25519.ts';

export const TOKEN_PROGRAM = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA';
export const TOKEN_2022_PROGRAM = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb';
export const MEMO_PROGRAM = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr';
const LIGHTHOUSE_PROGRAM = 'L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95';
export const COMPUTE_BUDGET_PROGRAM = 'ComputeBudget111111111111111111111111111111';
const ATA_PROGRAM = new PublicKey('ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL');

/** A packet of 1,232 bytes in base64: no transaction is longer. */
const MAX_BASE64_CHARS = 1_644;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const MIN_INSTRUCTIONS = 3;
const MAX_INSTRUCTIONS = 7;
/** Fee payer and authority; each further signature would cost the fee payer 5,000 lamports. */
const SIGNATURES = 2;
/** The fee payer pays price x units whether used or not: these two bound what one payment can burn. */
const MAX_COMPUTE_UNITS = 200_000;
const MAX_PRIORITY_LAMPORTS = 10_000n;
const MICRO_LAMPORTS = 1_000_000n;
const USDC_DECIMALS = 6;
/** The largest amount that is still a safe integer in nano-USD. */
const MAX_AMOUNT = BigInt(Number.MAX_SAFE_INTEGER) / 1_000n;

/** Deriving costs milliseconds, and a server asks for the same few again and again. */
const MAX_DERIVED = 256;
const derived = new Map<string, string>();

/** A transaction whose layout and signature hold, before its amount is anyone's money. */
interface Transfer {
  amount: bigint;
  authority: string;
}

type Instruction = MessageV0['compiledInstructions'][number];

/**
 * `feePayers`: the addresses that may pay the fee, ours or the facilitator's. Throws AppError('invalid_payment') with
 * details.reason: `family`, `transaction`, `version`, `lookup_table`, `signers`, `accounts`, `instructions`, `compute_units`,
 * `compute_price`, `transfer`, `asset`, `decimals`, `recipient`, `payer`, `amount`, `fee_payer_isolation`, `signature` or
 * `fee_payer`. The last also carries payer and identity, by which a payment settled before the fee payer changed is still found.
 */
export function decodeSolanaPayment(
  network: NetworkConfig,
  feePayers: readonly string[],
  payload: unknown,
): SignedPayment {
  const transaction = readTransaction(payload);
  const message = transaction.message as MessageV0;
  checkMessage(message);
  const keys = message.staticAccountKeys.map((key) => key.toBase58());
  checkComputeBudget(message.compiledInstructions, keys);
  const transfer = readTransfer(network, message, keys);
  checkRest(message.compiledInstructions, keys);
  const bytes = Buffer.from(message.serialize());
  checkSignature(transaction, bytes);
  const identity = createHash('sha256').update(bytes).digest('hex');
  const feePayer = keys[0] ?? '';
  if (!feePayers.includes(feePayer)) {
    throw invalid('fee_payer', `the fee payer must be ${list(feePayers)}, not ${feePayer}`, {
      payer: transfer.authority,
      identity,
    });
  }
  transaction.signatures[0] = new Uint8Array(64);
  return {
    network: network.network,
    family: 'solana',
    asset: network.asset,
    payer: transfer.authority,
    payTo: network.payTo,
    amount: transfer.amount,
    identity,
    validBeforeSeconds: null,
    payload: { transaction: Buffer.from(transaction.serialize()).toString('base64') },
  };
}

/** The associated token account of `owner` for `mint` (SPL Associated Token Account program). */
export function associatedTokenAddress(
  owner: string,
  mint: string,
  tokenProgram: string = TOKEN_PROGRAM,
): string {
  const name = `${owner} ${mint} ${tokenProgram}`;
  const known = derived.get(name);
  if (known !== undefined) return known;
  const seeds = [owner, tokenProgram, mint].map((key) => new PublicKey(key).toBuffer());
  const address = PublicKey.findProgramAddressSync(seeds, ATA_PROGRAM)[0].toBase58();
  if (derived.size >= MAX_DERIVED) derived.clear();
  derived.set(name, address);
  return address;
}

/** Exactly one spelling of a transaction passes: canonical base64 of the canonical encoding, nothing after it. */
function readTransaction(payload: unknown): VersionedTransaction {
  const text = readText(payload);
  const bytes = Buffer.from(text, 'base64');
  let transaction: VersionedTransaction;
  let isCanonical: boolean;
  try {
    transaction = VersionedTransaction.deserialize(bytes);
    isCanonical = bytes.toString('base64') === text && bytes.equals(transaction.serialize());
  } catch (error) {
    throw invalid(
      'transaction',
      'payload.transaction must be a version 0 transaction',
      {},
      error instanceof Error ? error : undefined,
    );
  }
  if (transaction.version !== 0) {
    throw invalid('version', 'payload.transaction must be a version 0 message, not a legacy one');
  }
  if (!isCanonical) {
    throw invalid(
      'transaction',
      'payload.transaction must be encoded canonically, without padding',
    );
  }
  return transaction;
}

function readText(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw invalid('transaction', 'payload must be an object');
  }
  const fields = payload as Record<string, unknown>;
  const text = Object.hasOwn(fields, 'transaction') ? fields['transaction'] : undefined;
  if (text === undefined && Object.hasOwn(fields, 'authorization')) {
    throw invalid('family', 'this is an EVM payload, but the network named is Solana');
  }
  if (typeof text !== 'string' || text === '' || text.length > MAX_BASE64_CHARS) {
    throw invalid(
      'transaction',
      `payload.transaction must be base64 of at most ${MAX_BASE64_CHARS} characters`,
    );
  }
  if (!BASE64.test(text)) {
    throw invalid('transaction', 'payload.transaction must be padded standard base64');
  }
  return text;
}

function checkMessage(message: MessageV0): void {
  if (message.addressTableLookups.length > 0) {
    throw invalid('lookup_table', 'payload.transaction must not use address lookup tables');
  }
  const { numRequiredSignatures, numReadonlySignedAccounts } = message.header;
  if (numRequiredSignatures !== SIGNATURES || numReadonlySignedAccounts >= SIGNATURES) {
    throw invalid(
      'signers',
      'payload.transaction must be signed by its fee payer and its payer only',
    );
  }
  const keys = message.staticAccountKeys.map((key) => key.toBase58());
  if (new Set(keys).size !== keys.length) {
    throw invalid('accounts', 'payload.transaction must not list an account twice');
  }
  const count = message.compiledInstructions.length;
  if (count < MIN_INSTRUCTIONS || count > MAX_INSTRUCTIONS) {
    throw invalid(
      'instructions',
      `payload.transaction must have ${MIN_INSTRUCTIONS} to ${MAX_INSTRUCTIONS} instructions, not ${count}`,
    );
  }
  for (const { programIdIndex, accountKeyIndexes } of message.compiledInstructions) {
    if ([programIdIndex, ...accountKeyIndexes].some((index) => index >= keys.length)) {
      throw invalid(
        'accounts',
        'an instruction of payload.transaction names an account not listed',
      );
    }
    // The fee payer's signature would let any program spend its lamports, or its tokens.
    if (programIdIndex === 0 || accountKeyIndexes.includes(0)) {
      throw invalid('fee_payer_isolation', 'no instruction may name the fee payer');
    }
  }
}

/** [0] SetComputeUnitLimit (2, u32), [1] SetComputeUnitPrice (3, u64 micro-lamports per unit). */
function checkComputeBudget(instructions: Instruction[], keys: string[]): void {
  const [limit, price] = instructions;
  if (!limit || !isComputeBudget(limit, keys, 2, 5)) {
    throw invalid('instructions', 'instruction 0 must be SetComputeUnitLimit');
  }
  if (!price || !isComputeBudget(price, keys, 3, 9)) {
    throw invalid('instructions', 'instruction 1 must be SetComputeUnitPrice');
  }
  const units = Buffer.from(limit.data).readUInt32LE(1);
  if (units === 0 || units > MAX_COMPUTE_UNITS) {
    throw invalid('compute_units', `the compute unit limit must be 1 to ${MAX_COMPUTE_UNITS}`);
  }
  const microLamports = Buffer.from(price.data).readBigUInt64LE(1) * BigInt(units);
  if (microLamports > MAX_PRIORITY_LAMPORTS * MICRO_LAMPORTS) {
    throw invalid(
      'compute_price',
      `compute unit price x limit must be at most ${MAX_PRIORITY_LAMPORTS} lamports`,
    );
  }
}

function isComputeBudget(
  { programIdIndex, accountKeyIndexes, data }: Instruction,
  keys: string[],
  kind: number,
  length: number,
): boolean {
  return (
    keys[programIdIndex] === COMPUTE_BUDGET_PROGRAM &&
    accountKeyIndexes.length === 0 &&
    data.length === length &&
    data[0] === kind
  );
}

/** [2] TransferChecked (12, u64 amount, u8 decimals) over source, mint, destination, authority. */
function readTransfer(network: NetworkConfig, message: MessageV0, keys: string[]): Transfer {
  const instruction = message.compiledInstructions[2]!;
  const program = keys[instruction.programIdIndex];
  const data = Buffer.from(instruction.data);
  const isToken = program === TOKEN_PROGRAM || program === TOKEN_2022_PROGRAM;
  if (!isToken || data.length !== 10 || data[0] !== 12) {
    throw invalid('transfer', 'instruction 2 must be TransferChecked of SPL Token or Token-2022');
  }
  const accounts = instruction.accountKeyIndexes;
  if (accounts.length !== 4) {
    throw invalid('transfer', 'TransferChecked must name four accounts; multisigs are not taken');
  }
  const [source, mint, destination, authority] = accounts.map((index) => keys[index]!);
  if (mint !== network.asset) {
    throw invalid('asset', `the mint must be ${network.asset}, not ${mint}`);
  }
  if (data[9] !== USDC_DECIMALS) throw invalid('decimals', `decimals must be ${USDC_DECIMALS}`);
  const expected = associatedTokenAddress(network.payTo, network.asset, program);
  if (destination !== expected) {
    throw invalid(
      'recipient',
      `the destination must be ${expected}, the token account of ${network.payTo}, not ${destination}`,
    );
  }
  // Moving our own tokens to ourselves succeeds on chain and pays nothing.
  if (source === destination || authority === network.payTo) {
    throw invalid('payer', 'the payer must not be the recipient');
  }
  if (authority === undefined || accounts[3] !== 1) {
    throw invalid('payer', 'the authority of the transfer must sign the transaction');
  }
  const amount = data.readBigUInt64LE(1);
  if (amount <= 0n || amount > MAX_AMOUNT) {
    throw invalid('amount', `the amount must be 1 to ${MAX_AMOUNT} base units`);
  }
  return { amount, authority };
}

/** Wallets append memos and Lighthouse guards; nothing else may ride along. */
function checkRest(instructions: Instruction[], keys: string[]): void {
  for (const [index, { programIdIndex }] of instructions.entries()) {
    const program = keys[programIdIndex];
    if (index < MIN_INSTRUCTIONS || program === MEMO_PROGRAM || program === LIGHTHOUSE_PROGRAM) {
      continue;
    }
    throw invalid('instructions', `instruction ${index} must be a Memo or a Lighthouse guard`);
  }
}

function checkSignature(transaction: VersionedTransaction, message: Uint8Array): void {
  const authority = transaction.message.staticAccountKeys[1]!.toBytes();
  const signature = transaction.signatures[1];
  if (!signature || !verifyEd25519(authority, message, signature)) {
    throw invalid('signature', "the payer's signature does not hold over this message");
  }
}

function list(feePayers: readonly string[]): string {
  return feePayers.length === 0 ? 'one of ours (none is known now)' : feePayers.join(' or ');
}

function invalid(
  reason: string,
  message: string,
  details: Record<string, unknown> = {},
  cause?: Error,
): AppError {
  return new AppError('invalid_payment', message, { details: { reason, ...details }, cause });
}

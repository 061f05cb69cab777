import { createHash } from 'node:crypto';
import {
  type AccountMeta,
  AddressLookupTableAccount,
  Keypair,
  MessageV0,
  PublicKey,
  Transaction,
  type TransactionInstruction,
  VersionedTransaction,
} from '@solana/web3.js';
import { describe, expect, it } from 'vitest';
import {
  buildSolanaPayment,
  instruction,
  setComputeUnitLimit,
  setComputeUnitPrice,
  solanaPaymentInstructions,
  transferChecked,
} from '../../src/chains/solana-build.ts';
import {
  associatedTokenAddress,
  COMPUTE_BUDGET_PROGRAM,
  decodeSolanaPayment,
  MEMO_PROGRAM,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
} from '../../src/chains/solana-payload.ts';
import { SOLANA_MAINNET } from '../../src/chains/networks.ts';
import { solanaConfig } from '../support/solana-payments.ts';

const LIGHTHOUSE = 'L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95';
const SYSTEM = '11111111111111111111111111111111';
const BLOCKHASH = 'CmpNeggWJ4JaWJeJ8YKN1Zypmk7uvQq3PECGUCAEMbky';
const payer = Keypair.generate();
const feePayer = Keypair.generate();
const payTo = Keypair.generate().publicKey.toBase58();
const stranger = Keypair.generate();
const config = solanaConfig({ url: null, network: SOLANA_MAINNET }, payTo, { kind: 'sandbox' });
const mint = config.asset;
const terms = {
  secretKey: payer.secretKey,
  feePayer: feePayer.publicKey.toBase58(),
  payTo,
  mint,
  amount: 1_000_000n,
  blockhash: BLOCKHASH,
};

function decode(transaction: unknown, feePayers = [terms.feePayer]) {
  return decodeSolanaPayment(config, feePayers, { transaction });
}

/** The instructions of a good payment, bent, compiled and signed by everyone but the fee payer. */
function bent(
  bend: (instructions: TransactionInstruction[]) => TransactionInstruction[],
  signers: Keypair[] = [payer],
): string {
  const message = MessageV0.compile({
    payerKey: feePayer.publicKey,
    instructions: bend(solanaPaymentInstructions(terms)),
    recentBlockhash: BLOCKHASH,
  });
  const transaction = new VersionedTransaction(message);
  transaction.sign(signers);
  return encode(transaction.serialize());
}

function replaced(index: number, by: TransactionInstruction, signers?: Keypair[]): string {
  return bent((all) => all.with(index, by), signers);
}

function appended(...more: TransactionInstruction[]): string {
  return bent((all) => [...all, ...more]);
}

function transfer(change: {
  program?: string;
  data?: Buffer;
  accounts?: Partial<Record<'source' | 'mint' | 'destination' | 'authority', AccountMeta>>;
  more?: AccountMeta[];
}): TransactionInstruction {
  const program = change.program ?? TOKEN_PROGRAM;
  const ata = (owner: string) => associatedTokenAddress(owner, mint, program);
  const accounts = {
    source: meta(ata(payer.publicKey.toBase58()), 'w'),
    mint: meta(mint, ''),
    destination: meta(ata(payTo), 'w'),
    authority: meta(payer.publicKey.toBase58(), 's'),
    ...change.accounts,
  };
  const keys = [accounts.source, accounts.mint, accounts.destination, accounts.authority];
  const data = change.data ?? transferChecked(1_000_000n, 6);
  return instruction(program, [...keys, ...(change.more ?? [])], data);
}

function meta(address: string, flags: '' | 'w' | 's' | 'ws'): AccountMeta {
  const [isWritable, isSigner] = [flags.includes('w'), flags.includes('s')];
  return { pubkey: new PublicKey(address), isWritable, isSigner };
}

function memo(keys: AccountMeta[] = [], text = 'hello'): TransactionInstruction {
  return instruction(MEMO_PROGRAM, keys, Buffer.from(text));
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function legacy(): string {
  const transaction = new Transaction();
  transaction.feePayer = feePayer.publicKey;
  transaction.recentBlockhash = BLOCKHASH;
  transaction.add(...solanaPaymentInstructions(terms));
  transaction.partialSign(payer);
  return encode(transaction.serialize({ requireAllSignatures: false }));
}

function withLookupTable(): string {
  const table = new AddressLookupTableAccount({
    key: stranger.publicKey,
    state: {
      deactivationSlot: 2n ** 64n - 1n,
      lastExtendedSlot: 0,
      lastExtendedSlotStartIndex: 0,
      addresses: [new PublicKey(mint)],
    },
  });
  const message = MessageV0.compile({
    payerKey: feePayer.publicKey,
    instructions: solanaPaymentInstructions(terms),
    recentBlockhash: BLOCKHASH,
    addressLookupTableAccounts: [table],
  });
  const transaction = new VersionedTransaction(message);
  transaction.sign([payer]);
  return encode(transaction.serialize());
}

/** A good transaction whose message bytes are changed before it is signed. */
function rewritten(change: (message: MessageV0) => void): string {
  const good = VersionedTransaction.deserialize(Buffer.from(buildSolanaPayment(terms), 'base64'));
  change(good.message as MessageV0);
  const signed = new VersionedTransaction(good.message);
  signed.sign([payer]);
  return encode(signed.serialize());
}

describe('a Solana payment', () => {
  it('is read from the signed bytes, its payer the authority (P-16)', () => {
    const text = buildSolanaPayment(terms);
    const { message } = VersionedTransaction.deserialize(Buffer.from(text, 'base64'));
    expect(decode(text)).toEqual({
      network: SOLANA_MAINNET,
      family: 'solana',
      asset: mint,
      payer: payer.publicKey.toBase58(),
      payTo,
      amount: 1_000_000n,
      identity: createHash('sha256').update(message.serialize()).digest('hex'),
      validBeforeSeconds: null,
      payload: { transaction: text },
    });
  });

  it('may carry memos and Lighthouse guards, up to seven instructions', () => {
    const guard = instruction(LIGHTHOUSE, [meta(payTo, '')], Buffer.from([1, 2]));
    expect(decode(appended(memo(), guard, memo([], 'x'))).amount).toBe(1_000_000n);
    expect(decode(bent((all) => all.slice(0, 3))).amount).toBe(1_000_000n);
  });

  it('may be of Token-2022', () => {
    expect(decode(replaced(2, transfer({ program: TOKEN_2022_PROGRAM }))).amount).toBe(1_000_000n);
  });

  it('tells who paid when only the fee payer is not ours any more (P-2)', () => {
    const text = buildSolanaPayment(terms);
    const { payer: signer, identity } = decode(text);
    expect(() => decode(text, [stranger.publicKey.toBase58()])).toThrow(
      expect.objectContaining({
        code: 'invalid_payment',
        details: { reason: 'fee_payer', payer: signer, identity },
      }),
    );
  });

  const feePayerAddress = feePayer.publicKey.toBase58();
  const feePayerAta = associatedTokenAddress(feePayerAddress, mint);
  it.each<[string, string, () => string]>([
    ['a legacy message', 'version', legacy],
    ['an address lookup table', 'lookup_table', withLookupTable],
    ['eight instructions', 'instructions', () => appended(memo(), memo(), memo(), memo())],
    ['two instructions', 'instructions', () => bent((all) => [all[0]!, all[2]!])],
    ['limit and price swapped', 'instructions', () => bent(([a, b, ...rest]) => [b!, a!, ...rest])],
    [
      'more compute units than a payment needs',
      'compute_units',
      () => replaced(0, instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitLimit(200_001))),
    ],
    [
      'a price that burns our lamports',
      'compute_price',
      () => replaced(1, instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitPrice(500_001n))),
    ],
    [
      'a price near 2^64',
      'compute_price',
      () =>
        replaced(1, instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitPrice(2n ** 64n - 1n))),
    ],
    [
      'a second price',
      'instructions',
      () => appended(instruction(COMPUTE_BUDGET_PROGRAM, [], setComputeUnitPrice(1n))),
    ],
    ['a second transfer', 'instructions', () => appended(transfer({}))],
    [
      'a SOL transfer',
      'instructions',
      () =>
        appended(instruction(SYSTEM, [meta(payer.publicKey.toBase58(), 'ws')], Buffer.alloc(12))),
    ],
    [
      'an unchecked Transfer',
      'transfer',
      () => replaced(2, transfer({ data: Buffer.alloc(9, 3) })),
    ],
    [
      'a TransferChecked of another program',
      'transfer',
      () => replaced(2, instruction(LIGHTHOUSE, transfer({}).keys, transfer({}).data)),
    ],
    [
      'another mint (P-10)',
      'asset',
      () => replaced(2, transfer({ accounts: { mint: meta(stranger.publicKey.toBase58(), '') } })),
    ],
    [
      'other decimals (P-10)',
      'decimals',
      () => replaced(2, transfer({ data: transferChecked(1_000_000n, 9) })),
    ],
    [
      'another recipient (P-10)',
      'recipient',
      () => buildSolanaPayment({ ...terms, payTo: stranger.publicKey.toBase58() }),
    ],
    [
      'payTo itself instead of its token account',
      'recipient',
      () => replaced(2, transfer({ accounts: { destination: meta(payTo, 'w') } })),
    ],
    ['nothing moved', 'amount', () => buildSolanaPayment({ ...terms, amount: 0n })],
    [
      'more than money can hold',
      'amount',
      () => buildSolanaPayment({ ...terms, amount: 2n ** 63n }),
    ],
    [
      'our own tokens moved to us',
      'payer',
      () =>
        replaced(
          2,
          transfer({ accounts: { source: meta(associatedTokenAddress(payTo, mint), 'w') } }),
        ),
    ],
    [
      'the fee payer as authority',
      'signers',
      () => replaced(2, transfer({ accounts: { authority: meta(feePayerAddress, 's') } }), []),
    ],
    [
      'the fee payer as authority beside a signer',
      'fee_payer_isolation',
      () =>
        bent((all) => [
          ...all.with(
            2,
            transfer({
              accounts: { authority: meta(feePayerAddress, 's'), source: meta(feePayerAta, 'w') },
            }),
          ),
          memo([meta(payer.publicKey.toBase58(), 's')]),
        ]),
    ],
    [
      'somebody else as authority, who never signed',
      'payer',
      () =>
        bent((all) => [
          ...all.with(
            2,
            transfer({ accounts: { authority: meta(stranger.publicKey.toBase58(), '') } }),
          ),
          memo([meta(payer.publicKey.toBase58(), 's')]),
        ]),
    ],
    [
      'the fee payer as signer of a memo',
      'fee_payer_isolation',
      () => appended(memo([meta(feePayerAddress, 'ws')])),
    ],
    [
      'the fee payer in a Lighthouse guard',
      'fee_payer_isolation',
      () => appended(instruction(LIGHTHOUSE, [meta(feePayerAddress, '')], Buffer.from([1]))),
    ],
    [
      'a third signature that we would pay for',
      'signers',
      () =>
        bent(
          (all) => [...all, memo([meta(stranger.publicKey.toBase58(), 's')])],
          [payer, stranger],
        ),
    ],
    [
      'a multisig authority',
      'transfer',
      () => replaced(2, transfer({ more: [meta(stranger.publicKey.toBase58(), '')] })),
    ],
    [
      'a signature by somebody else',
      'signature',
      () => {
        const bytes = Buffer.from(buildSolanaPayment(terms), 'base64');
        bytes[70]! ^= 1;
        return encode(bytes);
      },
    ],
    [
      'a message changed after signing',
      'signature',
      () => {
        const text = buildSolanaPayment({ ...terms, memo: 'aaaa' });
        const bytes = Buffer.from(text, 'base64');
        bytes[bytes.length - 2]! ^= 1;
        return encode(bytes);
      },
    ],
    [
      'an account listed twice',
      'accounts',
      () => rewritten((message) => void message.staticAccountKeys.push(feePayer.publicKey)),
    ],
    [
      'an index beyond the accounts',
      'accounts',
      () => rewritten((message) => void (message.compiledInstructions[3]!.programIdIndex = 99)),
    ],
    [
      'bytes after the end',
      'transaction',
      () =>
        encode(Buffer.concat([Buffer.from(buildSolanaPayment(terms), 'base64'), Buffer.alloc(1)])),
    ],
    ['base64url', 'transaction', () => `${buildSolanaPayment(terms).slice(0, -4)}-_==`],
    ['half of itself', 'transaction', () => buildSolanaPayment(terms).slice(0, 200)],
    ['a megabyte', 'transaction', () => 'A'.repeat(1_048_576)],
    ['nothing', 'transaction', () => ''],
  ])('is refused with %s', (_name, reason, make) => {
    expect(() => decode(make())).toThrow(
      expect.objectContaining({
        code: 'invalid_payment',
        details: expect.objectContaining({ reason }),
      }),
    );
  });

  it.each([null, [], 'text', 7, {}, { transaction: 5 }, { authorization: {} }])(
    'is refused when the payload is %j',
    (payload) => {
      expect(() => decodeSolanaPayment(config, [terms.feePayer], payload)).toThrow(
        expect.objectContaining({ code: 'invalid_payment' }),
      );
    },
  );

  it('survives any mangling of its bytes without an error of another kind', () => {
    const good = Buffer.from(buildSolanaPayment(terms), 'base64');
    for (let at = 0; at < good.length; at += 1) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const bytes = Buffer.from(good);
        bytes[at] = value;
        let outcome: unknown = 'accepted';
        try {
          decode(encode(bytes));
        } catch (error) {
          outcome = error;
        }
        // Only the fee payer's empty slot is not signed over.
        if (outcome === 'accepted')
          expect(bytes[at] === good[at] || (at >= 1 && at < 65)).toBe(true);
        else expect(outcome).toMatchObject({ code: 'invalid_payment' });
      }
    }
  });
});

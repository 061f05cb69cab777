import { Keypair } from '@solana/web3.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import bs58 from 'bs58';
import type { NetworkConfig } from '../../src/config/config.ts';
import { readPaymentHeader } from '../../src/payments/header.ts';
import { encodeHeader } from '../support/evm-payment.ts';
import { hasSolana, type SolanaCluster, startSolana } from '../support/solana.ts';
import { type SolanaFacilitator, startSolanaFacilitator } from '../support/solana-facilitator.ts';
import { signWithStockClient, solanaConfig } from '../support/solana-payments.ts';
import { cameAs, expectPending, openTill, refusalOf, type Till } from '../support/till.ts';

const FIVE = 5_000_000n;
const MINUTE = 60_000;

describe.skipIf(!(await hasSolana()))('payments on Solana', () => {
  let cluster: SolanaCluster;
  let facilitator: SolanaFacilitator;
  let embedded: NetworkConfig;
  let remote: NetworkConfig;
  let till: Till;

  beforeAll(async () => {
    cluster = await startSolana();
    const [gas, other, shop] = [Keypair.generate(), Keypair.generate(), Keypair.generate()];
    const payTo = shop.publicKey.toBase58();
    for (const { publicKey } of [gas, other]) {
      cluster.runtime.airdrop(publicKey.toBase58(), 10_000_000_000n);
    }
    cluster.runtime.setTokens(payTo, cluster.mint, 0n);
    const gasKey = bs58.encode(gas.secretKey);
    embedded = solanaConfig(cluster, payTo, { kind: 'embedded', gasKey });
    facilitator = await startSolanaFacilitator(cluster, other);
    remote = solanaConfig(cluster, payTo, { kind: 'remote', url: facilitator.url, cdp: null });
  });
  beforeEach(() => open(embedded));
  afterEach(async () => {
    facilitator.bend = null;
    cluster.withhold(false);
    await till[Symbol.asyncDispose]();
  });
  afterAll(async () => {
    await facilitator.stop();
    await cluster.stop();
  });

  async function open(network: NetworkConfig): Promise<void> {
    till = await openTill({ networks: [network], settleTimeoutMs: 800 });
    await till.rails[0]!.refresh();
    cluster.runtime.nowMs = () => till.clock.nowMs();
  }

  async function pay(wallet = cluster.wallet(FIVE)) {
    const requirements = till.rails[0]!.requirements(FIVE);
    const payload = await signWithStockClient(wallet, requirements, cluster.url);
    const payer = wallet.publicKey.toBase58();
    return { payer, payload, header: cameAs(embedded, payload) };
  }

  it('are one credit to the wallet that owned the money, however often they come (P-1, P-16)', async () => {
    const { payer, payload } = await pay();
    const v1 = { x402Version: 1, scheme: 'exact', network: 'solana', payload };
    const names = ['X-PAYMENT', 'X-402-Payment', 'PAYMENT-SIGNATURE'];
    const headers = names.flatMap((name) => [
      readPaymentHeader([{ name, value: encodeHeader(v1) }]),
      readPaymentHeader([
        {
          name,
          value: encodeHeader({ payload, network: 'solana', scheme: 'exact', x402Version: 2 }),
        },
      ]),
      cameAs(embedded, payload),
    ]);
    const answers = await Promise.all(
      Array.from({ length: 45 }, (_, n) => till.payments.deposit(headers[n % headers.length]!)),
    );
    expect(new Set(answers.map((it) => it.transaction)).size).toBe(1);
    expect(answers[0]).toMatchObject({ payer, wallet: { family: 'solana', address: payer } });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it("filled in with the fee payer's signature, as the chain shows them, are the same payment (P-1)", async () => {
    const { payload, header } = await pay();
    const first = await till.payments.deposit(header);
    const { wire } = cluster.runtime.find(first.transaction)!;
    const copied = cameAs(embedded, { transaction: wire.toString('base64') });
    expect(copied.payload).not.toEqual(payload);
    const again = await till.payments.deposit(copied);
    expect(again).toEqual({ ...first, wasReplayed: true });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('that are sent and lost are sent again, and credited when they land (P-5)', async () => {
    cluster.dropSends(1_000);
    const { header } = await pay();
    const id = await expectPending(till.payments.deposit(header));
    expect(await till.payments.status(id)).toMatchObject({ transaction: expect.any(String) });
    till = await till.restart();
    cluster.dropSends(0);
    await till.later(MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'pending' });
    await till.later(MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'settled' });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('that never reach a block expire, and only then are failed', async () => {
    cluster.dropSends(1_000);
    const { header } = await pay();
    const id = await expectPending(till.payments.deposit(header));
    cluster.runtime.expireBlockhashes();
    await till.later(3 * MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'pending' });
    cluster.runtime.finalize();
    await till.later(3 * MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'expired' });
    cluster.dropSends(0);
    const refused = await refusalOf(till.payments.deposit(header));
    expect(refused.code).toBe('payment_verification_failed');
    expect(await till.deposits()).toEqual([]);
  });

  it('that a fork drops are taken back (P-14)', async () => {
    const { header } = await pay();
    const { transaction, paymentId, accountId } = await till.payments.deposit(header);
    const block = cluster.runtime.find(transaction)!;
    cluster.runtime.forget(transaction);
    cluster.runtime.expireBlockhashes();
    await till.later(3 * MINUTE);
    expect(await till.payments.status(paymentId)).toMatchObject({ status: 'settled' });
    cluster.runtime.finalize();
    await till.later(5 * MINUTE);
    expect(await till.payments.status(paymentId)).toMatchObject({ status: 'reversed' });
    expect(await till.store.available(accountId)).toBe(0);
    await refusalOf(till.payments.deposit(header));
    cluster.runtime.landed.push(block);
    await refusalOf(till.payments.deposit(header));
    expect(till.lines.filter(({ event }) => event === 'reversed_payment_is_back')).toHaveLength(1);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('are final once the chain says so', async () => {
    const { header } = await pay();
    await till.payments.deposit(header);
    cluster.runtime.finalize();
    await till.later(MINUTE);
    const row = await till.store.ledger.read.selectFrom('payments').selectAll().executeTakeFirst();
    expect(row).toMatchObject({ is_final: 1, next_check_at: null });
  });

  it('of a wallet without the money are refused before anything is sent (P-11)', async () => {
    const { header, payer } = await pay();
    cluster.runtime.setTokens(payer, cluster.mint, FIVE - 1n);
    const refused = await refusalOf(till.payments.deposit(header));
    const details = { reason: 'insufficient_funds' };
    expect(refused).toMatchObject({ code: 'payment_verification_failed', details });
    expect(await till.deposits()).toEqual([]);
  });

  it.each([
    ['cuts the connection', () => null],
    [
      'says settlement_pending (P-4)',
      (answer: object) => ({ ...answer, success: false, errorReason: 'settlement_pending' }),
    ],
    [
      'denies it (P-6)',
      () => ({
        success: false,
        errorReason: 'insufficient_funds',
        transaction: '',
        network: remote.network,
      }),
    ],
  ] as const)('that a facilitator settles are credited once although it %s', async (_, bend) => {
    await till[Symbol.asyncDispose]();
    await open(remote);
    const { header, payer } = await pay();
    facilitator.bend = bend as SolanaFacilitator['bend'];
    const answer = await till.payments.deposit(header);
    expect(answer).toMatchObject({ payer, credited: 5_000_000_000 });
    await till.payments.deposit(header);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('that a facilitator settled without a word are credited once we settle ourselves, and never called expired (P-6)', async () => {
    await till[Symbol.asyncDispose]();
    await open({ ...remote, rpcUrl: null });
    const { header } = await pay();
    facilitator.bend = () => null;
    const id = await expectPending(till.payments.deposit(header));
    expect(await till.payments.status(id)).toMatchObject({ transaction: null });
    const before = till;
    till = await till.restart({ networks: [embedded] });
    await before.payments.stop();
    cluster.runtime.expireBlockhashes();
    cluster.runtime.finalize();
    await till.later(5 * MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'settled' });
    expect(await till.deposits()).toEqual([5_000_000]);
  });
});

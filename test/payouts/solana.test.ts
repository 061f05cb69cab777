import { Keypair, VersionedTransaction } from '@solana/web3.js';
import bs58 from 'bs58';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildSolanaPayment } from '../../src/chains/solana-build.ts';
import type { NetworkConfig } from '../../src/config/config.ts';
import { type Desk, heldOf, openDesk, restored } from '../support/payouts.ts';
import { hasSolana, type SolanaCluster, startSolana } from '../support/solana.ts';
import { signWithStockClient, solanaConfig } from '../support/solana-payments.ts';
import { cameAs, refusalOf } from '../support/till.ts';

const FIVE = 5_000_000n;
const MINUTE = 60_000;

describe.skipIf(!(await hasSolana()))('payouts on Solana', () => {
  let cluster: SolanaCluster;
  let network: NetworkConfig;
  let treasury: Keypair;
  let desk: Desk;

  beforeAll(async () => {
    cluster = await startSolana();
    const gas = Keypair.generate();
    treasury = Keypair.generate();
    const payTo = Keypair.generate().publicKey.toBase58();
    cluster.runtime.airdrop(gas.publicKey.toBase58(), 10_000_000_000n);
    cluster.runtime.setTokens(payTo, cluster.mint, 0n);
    cluster.runtime.setTokens(treasury.publicKey.toBase58(), cluster.mint, 100n * FIVE);
    network = solanaConfig(cluster, payTo, {
      kind: 'embedded',
      gasKey: bs58.encode(gas.secretKey),
      treasuryKey: bs58.encode(treasury.secretKey),
    });
  });
  beforeEach(async () => {
    desk = await openDesk({ networks: [network], settleTimeoutMs: 600 });
    await desk.till.rails[0]!.refresh();
    cluster.runtime.nowMs = () => desk.till.clock.nowMs();
  });
  afterEach(async () => {
    cluster.dropSends(0);
    await desk.close();
  });
  afterAll(() => cluster.stop());

  /** A wallet that paid $5 in. */
  async function customer() {
    const wallet = cluster.wallet(FIVE);
    const requirements = desk.till.rails[0]!.requirements(FIVE);
    const payload = await signWithStockClient(wallet, requirements, cluster.url);
    const { accountId } = await desk.till.payments.deposit(cameAs(network, payload));
    const address = wallet.publicKey.toBase58();
    return {
      wallet,
      accountId,
      address,
      balance: () => cluster.runtime.tokens(address, cluster.mint),
    };
  }

  /** The operator's own wallet pays. */
  function byHand(to: string, amount: bigint): string {
    const from = cluster.wallet(amount);
    const address = from.publicKey.toBase58();
    cluster.runtime.airdrop(address, 1_000_000_000n);
    const text = buildSolanaPayment({
      secretKey: from.secretKey,
      feePayer: address,
      payTo: to,
      mint: cluster.mint,
      amount,
      blockhash: cluster.runtime.blockhash(),
    });
    const transaction = VersionedTransaction.deserialize(Buffer.from(text, 'base64'));
    return cluster.runtime.send(Buffer.from(transaction.serialize()));
  }

  it('are sent by the treasury, also to a wallet without a token account', async () => {
    const { wallet } = await customer();
    const fresh = Keypair.generate().publicKey.toBase58();
    const accountId = await desk.till.store.ledger.write(async (tx) => {
      const id = await tx.walletAccount({ family: 'solana', chain: '', address: fresh });
      const amount = 3_000_000_000 as never;
      await tx.post({ kind: 'GRANT', ref: fresh, debit: 'sys:grants', credit: id, amount });
      return id;
    });
    const row = await desk.pay(accountId, '2.5');
    expect(row).toMatchObject({ state: 'settled', units: '2500000', recipient: fresh });
    expect(cluster.runtime.tokens(fresh, cluster.mint)).toBe(2_500_000n);
    expect(cluster.runtime.tokens(wallet.publicKey.toBase58(), cluster.mint)).toBe(0n);
    expect(await desk.withdrawals()).toEqual([2_500_000]);
    expect(cluster.runtime.lamports(treasury.publicKey.toBase58())).toBe(0);
  });

  it('that are lost are sent again as they were signed, by the next process too', async () => {
    const { accountId, balance } = await customer();
    cluster.dropSends(1_000);
    const { id, state } = await desk.pay(accountId, '2');
    expect(state).toBe('sent');
    const { transaction_id: signed } = await desk.row(id);
    const before = desk;
    desk = await desk.restart();
    await before.payouts.stop();
    cluster.dropSends(0);
    await desk.payouts.start();
    await desk.later(MINUTE);
    await desk.later(MINUTE);
    expect(await desk.row(id)).toMatchObject({ state: 'settled', transaction_id: signed });
    expect(balance()).toBe(2_000_000n);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });

  it('are signed afresh only once what was signed can no longer land', async () => {
    const { accountId, balance } = await customer();
    cluster.dropSends(1_000);
    const { id, transaction_id: first } = await desk.pay(accountId, '2');
    await desk.later(MINUTE);
    expect(await desk.row(id)).toMatchObject({ transaction_id: first, attempt: 1 });
    cluster.runtime.expireBlockhashes();
    await desk.later(5 * MINUTE);
    // Too old for a block, but not yet in a finalized one.
    expect(await desk.row(id)).toMatchObject({ transaction_id: first, attempt: 1 });
    cluster.runtime.finalize();
    cluster.dropSends(0);
    for (let look = 0; look < 3; look += 1) await desk.later(2 * MINUTE);
    const row = await desk.row(id);
    expect(row).toMatchObject({ state: 'settled', attempt: 2 });
    expect(row.transaction_id).not.toBe(first);
    expect(balance()).toBe(2_000_000n);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });

  it('that a restored backup has forgotten are found on the chain, not paid again', async () => {
    const { accountId, balance } = await customer();
    const { id } = await desk.pay(accountId, '2', 'manual');
    const approve = (at: Desk) =>
      at.payouts.approve('cli', id, { method: 'embedded', reason: 'send it' });
    const twin = await restored(desk, { networks: [network], settleTimeoutMs: 600 });
    try {
      const { transaction_id: transaction } = await approve(desk);
      expect(await approve(twin)).toMatchObject({ state: 'approved', reason: 'found_on_chain' });
      expect(balance()).toBe(2_000_000n);
      await twin.payouts.approve('cli', id, { method: 'manual', reason: 'paid already' });
      const reason = 'paid before the backup was restored';
      const settled = await twin.payouts.sentByHand('cli', id, {
        transaction: transaction!,
        reason,
      });
      expect(settled.state).toBe('settled');
      expect(await twin.withdrawals()).toEqual([2_000_000]);
    } finally {
      await twin.close();
    }
    expect(balance()).toBe(2_000_000n);
  });

  it('by hand are told from other transfers', async () => {
    const { accountId, address } = await customer();
    const { id } = await desk.pay(accountId, '2', 'manual');
    const mark = (transaction: string) =>
      desk.payouts.sentByHand('cli', id, { transaction, reason: 'paid' });
    const other = cluster.wallet(0n).publicKey.toBase58();
    for (const [transaction, reason] of [
      [byHand(other, 2_000_000n), 'other_transfer'],
      [byHand(address, 2_000_001n), 'other_transfer'],
      [bs58.encode(Buffer.alloc(32, 7)), 'form'],
    ]) {
      const refused = await refusalOf(mark(transaction!));
      expect(refused).toMatchObject({ code: 'invalid_request', details: { reason } });
    }
    const settled = await mark(byHand(address, 2_000_000n));
    expect(settled.state).toBe('settled');
    expect(await heldOf(desk, accountId)).toBe(0);
    expect(await desk.withdrawals()).toEqual([2_000_000]);
  });
});

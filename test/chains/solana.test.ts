import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Evidence, SettleHooks, SignedPayment } from '../../src/chains/chain.ts';
import { hasSolana, startSolana, type SolanaCluster } from '../support/solana.ts';
import {
  openShop,
  pay,
  type Shop,
  signWithLegacyClient,
  signWithStockClient,
} from '../support/solana-payments.ts';

const DOLLAR = 1_000_000n;
const MINUTES = 60_000;

describe.skipIf(!(await hasSolana()))('the embedded Solana rail', () => {
  let cluster: SolanaCluster;
  let shop: Shop;

  beforeAll(async () => {
    cluster = await startSolana();
    shop = await openShop(cluster, 1_000);
  });
  afterAll(() => cluster.stop());

  it('can settle, and asks for money in a way that stock clients understand', () => {
    expect(shop.rail.status()).toEqual({ canSettle: true, problem: null });
    const { extra, ...rest } = shop.rail.requirements(DOLLAR);
    expect(rest).toMatchObject({ scheme: 'exact', amount: '1000000', payTo: shop.payTo });
    expect(extra).toEqual({
      feePayer: shop.gas.publicKey.toBase58(),
      memo: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(shop.rail.requirements(DOLLAR).extra['memo']).not.toBe(extra['memo']);
  });

  it('settles what a stock client signs, to the authority of the transfer and not the fee payer (P-16)', async () => {
    const wallet = cluster.wallet(5n * DOLLAR);
    const before = cluster.runtime.tokens(shop.payTo, cluster.mint);
    const payment = await pay(shop, cluster, wallet, DOLLAR);
    expect(payment.payer).toBe(wallet.publicKey.toBase58());
    const lamports = cluster.runtime.lamports(shop.gas.publicKey.toBase58());
    const stored = recorder(cluster);
    const evidence = await shop.rail.settle(payment, stored.hooks);
    expect(evidence).toMatchObject({ state: 'settled', amount: DOLLAR, isFinal: false });
    expect(cluster.runtime.tokens(shop.payTo, cluster.mint) - before).toBe(DOLLAR);
    // Two signatures and the priority fee of a stock client.
    expect(lamports - cluster.runtime.lamports(shop.gas.publicKey.toBase58())).toBe(10_001);
    expect(stored.seen).toHaveLength(1);
    expect(stored.seen[0]?.transaction).toBe(transactionOf(evidence));
    expect(stored.seen[0]?.wasOnChain).toBe(false);
    cluster.runtime.finalize();
    expect(await shop.rail.lookup(submission(payment, stored))).toMatchObject({ isFinal: true });
  });

  it('settles what the client of x402 v1 signs', async () => {
    const wallet = cluster.wallet(5n * DOLLAR);
    const requirements = shop.rail.requirements(DOLLAR);
    const sign = () => signWithLegacyClient(wallet, requirements, 'solana', cluster.url);
    const { payload } = await sign();
    const payment = await shop.rail.decode(payload, Date.now());
    expect(payment).toMatchObject({ payer: wallet.publicKey.toBase58(), amount: DOLLAR });
    expect(await shop.rail.settle(payment, recorder().hooks)).toMatchObject({ state: 'settled' });
    // It writes no memo, so that a second payment under one blockhash is the first one again.
    const again = await shop.rail.decode((await sign()).payload, Date.now());
    expect(again.identity).toBe(payment.identity);
  });

  it('gives one payment one identity, whatever stands in the empty slot (P-1)', async () => {
    const wallet = cluster.wallet(5n * DOLLAR);
    const payload = await signWithStockClient(wallet, shop.rail.requirements(DOLLAR), cluster.url);
    const payment = await shop.rail.decode(payload, Date.now());
    const bytes = Buffer.from(payload.transaction, 'base64');
    bytes.fill(7, 1, 65);
    const padded = await shop.rail.decode({ transaction: bytes.toString('base64') }, Date.now());
    expect(padded).toEqual(payment);
    const variants = [
      payload.transaction.replaceAll('+', '-').replaceAll('/', '_').replace(/=*$/, ''),
      ` ${payload.transaction}`,
      `${payload.transaction}\n`,
      Buffer.concat([Buffer.from(payload.transaction, 'base64'), Buffer.alloc(3)]).toString(
        'base64',
      ),
    ];
    for (const transaction of variants) {
      if (transaction === payload.transaction) continue;
      await expect(shop.rail.decode({ transaction }, Date.now())).rejects.toMatchObject({
        code: 'invalid_payment',
      });
    }
  });

  it('moves the money once when one payment is settled ten times at once (P-1)', async () => {
    const wallet = cluster.wallet(50n * DOLLAR);
    const payment = await pay(shop, cluster, wallet, DOLLAR);
    const all = await Promise.all(
      Array.from({ length: 10 }, () => shop.rail.settle(payment, recorder().hooks)),
    );
    expect(new Set(all.map(transactionOf)).size).toBe(1);
    expect(all.every(({ state }) => state === 'settled')).toBe(true);
    expect(cluster.runtime.tokens(wallet.publicKey.toBase58(), cluster.mint)).toBe(49n * DOLLAR);
    const later = await shop.again().settle(payment, recorder().hooks);
    expect(later).toMatchObject({ state: 'settled', transaction: transactionOf(all[0]!) });
  });

  it('refuses before it sends when the payer moved the money away (P-11)', async () => {
    const wallet = cluster.wallet(2n * DOLLAR);
    const payment = await pay(shop, cluster, wallet, 2n * DOLLAR);
    cluster.runtime.setTokens(wallet.publicKey.toBase58(), cluster.mint, DOLLAR);
    const stored = recorder();
    const evidence = await shop.rail.settle(payment, stored.hooks);
    expect(evidence).toMatchObject({ state: 'failed', reason: 'insufficient_funds' });
    expect(stored.seen).toEqual([]);
  });

  it('refuses a payment whose blockhash is too old before it sends', async () => {
    const payment = await pay(shop, cluster, cluster.wallet(DOLLAR), DOLLAR);
    cluster.runtime.expireBlockhashes();
    expect(await shop.rail.settle(payment, recorder().hooks)).toMatchObject({
      state: 'failed',
      reason: 'blockhash_expired',
    });
  });

  it('finds its payment when the connection breaks after the send (P-5)', async () => {
    const payment = await pay(shop, cluster, cluster.wallet(DOLLAR), DOLLAR);
    cluster.cut('sendTransaction', 1);
    expect(await shop.rail.settle(payment, recorder().hooks)).toMatchObject({ state: 'settled' });
  });

  it('sends again while it waits when the first send is lost', async () => {
    const slow = await openShop(cluster, 5_000);
    const payment = await pay(slow, cluster, cluster.wallet(DOLLAR), DOLLAR);
    cluster.dropSends(1);
    expect(await slow.rail.settle(payment, recorder().hooks)).toMatchObject({ state: 'settled' });
  });

  it('says unknown, never failed, while the outcome is open, and ends in expired after the margin (P-5)', async () => {
    const hasty = await openShop(cluster, 300);
    const payment = await pay(hasty, cluster, cluster.wallet(DOLLAR), DOLLAR);
    cluster.dropSends(1_000);
    const stored = recorder();
    const evidence = await hasty.rail.settle(payment, stored.hooks);
    expect(evidence).toMatchObject({ state: 'unknown', transaction: stored.seen[0]?.transaction });
    const open = submission(payment, stored);
    expect(await hasty.rail.lookup(open)).toMatchObject({ state: 'unknown' });
    cluster.runtime.expireBlockhashes();
    hasty.clock.offsetMs = 5 * MINUTES;
    // Too old for the newest bank is not enough: a finalized one of later than the payment must say so too.
    expect(await hasty.rail.lookup(open)).toMatchObject({ state: 'unknown' });
    cluster.runtime.finalize();
    expect(await hasty.rail.lookup(open)).toMatchObject({ state: 'unknown' });
    finalizeLater(cluster, 5 * MINUTES);
    expect(await hasty.rail.lookup(open)).toMatchObject({ state: 'failed', reason: 'expired' });
    cluster.dropSends(0);
  });

  it('waits for the margin before it calls a payment expired', async () => {
    const hasty = await openShop(cluster, 300);
    const payment = await pay(hasty, cluster, cluster.wallet(DOLLAR), DOLLAR);
    cluster.dropSends(1_000);
    const stored = recorder();
    await hasty.rail.settle(payment, stored.hooks);
    cluster.runtime.expireBlockhashes();
    finalizeLater(cluster, 5 * MINUTES);
    expect(await hasty.rail.lookup(submission(payment, stored))).toMatchObject({
      state: 'unknown',
    });
    cluster.dropSends(0);
  });

  it('carries a payment on after a restart between storing and sending (P-5)', async () => {
    const payment = await pay(shop, cluster, cluster.wallet(DOLLAR), DOLLAR);
    const stored = recorder();
    cluster.dropSends(1_000);
    await shop.rail.settle(payment, stored.hooks);
    cluster.dropSends(0);
    const rail = shop.again();
    await rail.lookup(submission(payment, stored));
    expect(await rail.lookup(submission(payment, stored))).toMatchObject({ state: 'settled' });
  });

  it('does not take a processed transaction for a settled one', async () => {
    const hasty = await openShop(cluster, 300);
    const payment = await pay(hasty, cluster, cluster.wallet(DOLLAR), DOLLAR);
    cluster.withhold(true);
    const stored = recorder();
    const evidence = await hasty.rail.settle(payment, stored.hooks);
    expect(evidence).toMatchObject({ state: 'unknown', reason: 'unconfirmed' });
    cluster.withhold(false);
    expect(await hasty.rail.lookup(submission(payment, stored))).toMatchObject({
      state: 'settled',
    });
  });

  it('notices that a fork lost a credited payment, sends it again while it can, then says expired (P-14)', async () => {
    const wallet = cluster.wallet(DOLLAR);
    const payment = await pay(shop, cluster, wallet, DOLLAR);
    const stored = recorder();
    const settled = await shop.rail.settle(payment, stored.hooks);
    expect(settled).toMatchObject({ state: 'settled', isFinal: false });
    cluster.runtime.forget(transactionOf(settled));
    expect(cluster.runtime.tokens(wallet.publicKey.toBase58(), cluster.mint)).toBe(DOLLAR);
    expect(await shop.rail.lookup(submission(payment, stored))).toMatchObject({ state: 'unknown' });
    expect(await shop.rail.lookup(submission(payment, stored))).toMatchObject({ state: 'settled' });
    cluster.runtime.forget(transactionOf(settled));
    cluster.runtime.expireBlockhashes();
    finalizeLater(cluster, 5 * MINUTES);
    shop.clock.offsetMs = 5 * MINUTES;
    expect(await shop.rail.lookup(submission(payment, stored))).toMatchObject({
      state: 'failed',
      reason: 'expired',
    });
    shop.clock.offsetMs = 0;
  });

  it('answers unknown when the node does not answer at all', async () => {
    const payment = await pay(shop, cluster, cluster.wallet(DOLLAR), DOLLAR);
    cluster.cut('getSignatureStatuses', 1);
    const stored = recorder();
    expect(await shop.rail.settle(payment, stored.hooks)).toEqual({
      state: 'unknown',
      reason: 'rpc_unavailable',
      transaction: null,
    });
    expect(stored.seen).toEqual([]);
  });

  it('sends nothing when the signature cannot be stored', async () => {
    const wallet = cluster.wallet(DOLLAR);
    const payment = await pay(shop, cluster, wallet, DOLLAR);
    const evidence = await shop.rail.settle(payment, {
      beforeBroadcast: () => Promise.reject(new Error('disk full')),
    });
    expect(evidence).toMatchObject({ state: 'unknown', transaction: null });
    expect(cluster.runtime.tokens(wallet.publicKey.toBase58(), cluster.mint)).toBe(DOLLAR);
  });

  it('does not call an echo of its own success a failure', async () => {
    const wallet = cluster.wallet(DOLLAR);
    const payment = await pay(shop, cluster, wallet, DOLLAR);
    const stored = recorder();
    const settled = await shop.rail.settle(payment, stored.hooks);
    cluster.runtime.forget(transactionOf(settled));
    cluster.runtime.setTokens(wallet.publicKey.toBase58(), cluster.mint, 0n);
    const hooks = { ...recorder().hooks, hasEarlierAttempt: true };
    expect((await shop.again().settle(payment, hooks)).state).not.toBe('settled');
    expect((await shop.rail.settle(payment, recorder().hooks)).state).toBe('unknown');
    // It did fail this time; that is certain once the block is final.
    cluster.runtime.finalize();
    expect(await shop.rail.lookup(submission(payment, stored))).toMatchObject({
      state: 'failed',
      reason: 'transaction_failed',
    });
  });

  it.each([
    [
      'has no SOL',
      (s: Shop) =>
        cluster.runtime.setAccount(
          s.gas.publicKey.toBase58(),
          '11111111111111111111111111111111',
          Buffer.alloc(0),
          10n,
        ),
      /send it some SOL/,
    ],
    [
      'has a frozen token account',
      (s: Shop) => void cluster.runtime.setTokens(s.payTo, cluster.mint, 0n, 2),
      /frozen/,
    ],
  ])('does not offer itself when it %s', async (_name, spoil, problem) => {
    const poor = await openShop(cluster);
    spoil(poor);
    const status = await poor.rail.refresh();
    expect(status).toEqual({ canSettle: false, problem: expect.stringMatching(problem) });
  });

  it('says how to mend a missing token account', async () => {
    const { rail } = await openShop({ ...cluster, runtime: withoutTokens(cluster) });
    const status = await rail.refresh();
    expect(status.canSettle).toBe(false);
    expect(status.problem).toMatch(/does not exist: create it once \(spl-token create-account/);
  });

  it('refuses an RPC of another cluster (P-10)', async () => {
    const devnet = await startSolana('solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1');
    try {
      const { rail } = await openShop({ ...cluster, url: devnet.url });
      expect((await rail.refresh()).problem).toMatch(/another cluster/);
    } finally {
      await devnet.stop();
    }
  });
});

/** Makes everything final, in a block stamped that much later. */
function finalizeLater({ runtime }: SolanaCluster, ms: number): void {
  runtime.nowMs = () => Date.now() + ms;
  runtime.finalize();
  runtime.nowMs = () => Date.now();
}

interface Stored {
  seen: { transaction: string; raw: string; wasOnChain: boolean }[];
  hooks: SettleHooks;
}

/** Keeps what was announced, as payments does before anything is sent. */
function recorder(cluster?: SolanaCluster): Stored {
  const seen: Stored['seen'] = [];
  return {
    seen,
    hooks: {
      async beforeBroadcast(transaction, raw) {
        seen.push({
          transaction,
          raw,
          wasOnChain: cluster?.runtime.find(transaction) !== undefined,
        });
      },
    },
  };
}

function submission(payment: SignedPayment, { seen }: Stored) {
  const { transaction = null, raw = null } = seen[0] ?? {};
  return { payment, transaction, rawTransaction: raw, submittedAtMs: Date.now() };
}

function transactionOf(evidence: Evidence): string {
  return evidence.state === 'failed' ? '' : (evidence.transaction ?? '');
}

function withoutTokens({ runtime }: SolanaCluster): SolanaCluster['runtime'] {
  return Object.assign(Object.create(runtime) as typeof runtime, {
    setTokens: () => '',
    airdrop: runtime.airdrop.bind(runtime),
  });
}

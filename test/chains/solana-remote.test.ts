import { randomBytes } from 'node:crypto';
import { Keypair } from '@solana/web3.js';
import bs58 from 'bs58';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Rail, SettleHooks, SignedPayment } from '../../src/chains/chain.ts';
import { createSolanaRail } from '../../src/chains/solana.ts';
import { silentLog } from '../../src/log.ts';
import { hasSolana, startSolana, type SolanaCluster } from '../support/solana.ts';
import { type SolanaFacilitator, startSolanaFacilitator } from '../support/solana-facilitator.ts';
import { pay, solanaConfig, testClock } from '../support/solana-payments.ts';

const DOLLAR = 1_000_000n;
const MINUTES = 60_000;
const hooks: SettleHooks = { beforeBroadcast: () => Promise.resolve() };

describe.skipIf(!(await hasSolana()))('the Solana rail of a remote facilitator', () => {
  const clock = testClock();
  const feePayer = Keypair.generate();
  const payTo = Keypair.generate().publicKey.toBase58();
  let cluster: SolanaCluster;
  let facilitator: SolanaFacilitator;
  let rail: Rail;

  function open(rpcUrl: string | null): Rail {
    const remote = { kind: 'remote' as const, url: facilitator.url, cdp: null };
    const config = solanaConfig({ url: rpcUrl, network: cluster.network }, payTo, remote);
    const options = { clock, log: silentLog, dataDir: '/nonexistent', mode: 'live' as const };
    return createSolanaRail(config, { ...options, settleTimeoutMs: 1_500 });
  }

  beforeAll(async () => {
    cluster = await startSolana();
    cluster.runtime.airdrop(feePayer.publicKey.toBase58(), 1_000_000_000n);
    cluster.runtime.setTokens(payTo, cluster.mint, 0n);
    facilitator = await startSolanaFacilitator(cluster, feePayer);
    rail = open(cluster.url);
    await rail.refresh();
  });
  beforeEach(() => {
    facilitator.bend = null;
    facilitator.instead = null;
    clock.offsetMs = 0;
  });
  afterAll(async () => {
    await facilitator.stop();
    await cluster.stop();
  });

  function lookup(payment: SignedPayment, transaction: string | null = null, on = rail) {
    const submission = { payment, transaction, rawTransaction: null, submittedAtMs: Date.now() };
    return on.lookup(submission);
  }

  it('asks for the fee payer of /supported', () => {
    expect(rail.status()).toEqual({ canSettle: true, problem: null });
    expect(rail.requirements(DOLLAR).extra['feePayer']).toBe(feePayer.publicKey.toBase58());
  });

  it('settles through a stock facilitator and reads what arrived on chain', async () => {
    const payment = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    const evidence = await rail.settle(payment, hooks);
    expect(evidence).toMatchObject({ state: 'settled', amount: DOLLAR, isFinal: false });
    expect(facilitator.settled.at(-1)).toMatchObject({
      paymentRequirements: {
        amount: '1000000',
        payTo,
        extra: { feePayer: feePayer.publicKey.toBase58() },
      },
    });
  });

  it('pays more than was asked for, and is settled for what was signed', async () => {
    const payment = await pay({ rail }, cluster, cluster.wallet(9n * DOLLAR), 7n * DOLLAR);
    expect(await rail.settle(payment, hooks)).toMatchObject({
      state: 'settled',
      amount: 7n * DOLLAR,
    });
  });

  it('finds the transfer on chain when the facilitator hangs up after it (P-5)', async () => {
    const payment = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    facilitator.bend = () => null;
    expect(await rail.settle(payment, hooks)).toMatchObject({ state: 'settled' });
  });

  it('finds the transfer that a facilitator denies (P-6)', async () => {
    const payment = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    facilitator.bend = ({ network }) => ({
      success: false,
      errorReason: 'insufficient_funds',
      transaction: '',
      network,
    });
    expect(await rail.settle(payment, hooks)).toMatchObject({ state: 'settled' });
  });

  it('does not take the signature of somebody else’s payment for this one (P-7)', async () => {
    const first = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    const real = await rail.settle(first, hooks);
    const transaction = real.state === 'settled' ? real.transaction : '';
    facilitator.instead = { success: true, transaction, network: cluster.network };
    const second = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    expect(await rail.settle(second, hooks)).toMatchObject({ state: 'unknown' });
    expect(await lookup(second, transaction)).toMatchObject({ state: 'unknown' });
  });

  it('does not believe a success that the chain does not show, and calls it expired in the end (P-7)', async () => {
    const transaction = '5'.repeat(88);
    facilitator.instead = { success: true, transaction, network: cluster.network };
    const payment = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    expect(await rail.settle(payment, hooks)).toMatchObject({ state: 'unknown', transaction });
    cluster.runtime.expireBlockhashes();
    expect(await lookup(payment, transaction)).toMatchObject({ state: 'unknown' });
    clock.offsetMs = 5 * MINUTES;
    cluster.runtime.nowMs = () => clock.nowMs();
    cluster.runtime.finalize();
    expect(await lookup(payment, transaction)).toMatchObject({
      state: 'failed',
      reason: 'expired',
    });
    cluster.runtime.nowMs = () => Date.now();
  });

  it('finds a payment without a signature among others, by its message and not its amount (P-15)', async () => {
    const wallet = cluster.wallet(9n * DOLLAR);
    const payments: SignedPayment[] = [];
    for (let index = 0; index < 4; index += 1) {
      payments.push(await pay({ rail }, cluster, wallet, DOLLAR));
    }
    const settled = [];
    for (const payment of payments.slice(0, 3)) settled.push(await rail.settle(payment, hooks));
    const found = await Promise.all(payments.map((payment) => lookup(payment)));
    expect(found.slice(0, 3)).toEqual(settled);
    expect(found[3]).toMatchObject({ state: 'unknown' });
  });

  it('reads on where it stopped when the history is long and names no memos', async () => {
    const payment = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    const evidence = await rail.settle(payment, hooks);
    const other = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    await rail.settle(other, hooks);
    const { landed } = cluster.runtime;
    const template = landed.at(-1)!;
    const copies = Array.from({ length: 320 }, () => ({
      ...template,
      signature: bs58.encode(randomBytes(64)),
    }));
    landed.push(...copies);
    for (const entry of landed) entry.memo = null;
    const fresh = open(cluster.url);
    const looks = [];
    for (let look = 0; look < 8; look += 1) looks.push(await lookup(payment, null, fresh));
    expect(looks[0]).toMatchObject({ state: 'unknown', reason: 'search_incomplete' });
    expect(looks.at(-1)).toEqual(evidence);
  });

  it('refuses a payer without funds before it hands anything on (P-11)', async () => {
    const payment = await pay({ rail }, cluster, cluster.wallet(1n), DOLLAR);
    const before = facilitator.settled.length;
    expect(await rail.settle(payment, hooks)).toMatchObject({
      state: 'failed',
      reason: 'insufficient_funds',
    });
    expect(facilitator.settled).toHaveLength(before);
  });

  it('takes the word of a facilitator where it has no RPC, but never as final', async () => {
    const blind = open(null);
    await blind.refresh();
    expect(blind.canLookUp).toBe(false);
    const payment = await pay({ rail: blind }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    expect(await blind.settle(payment, hooks)).toMatchObject({ state: 'settled', isFinal: false });
    expect(await lookup(payment, null, blind)).toMatchObject({
      state: 'unknown',
      reason: 'no_rpc',
    });
  });

  it('takes every fee payer that it handed out (rotation)', async () => {
    const other = Keypair.generate();
    cluster.runtime.airdrop(other.publicKey.toBase58(), 1_000_000_000n);
    const second = await startSolanaFacilitator(cluster, other);
    const payment = await pay({ rail }, cluster, cluster.wallet(DOLLAR), DOLLAR);
    try {
      const urls = [facilitator.url, second.url];
      let turn = 0;
      const config = solanaConfig({ url: null, network: cluster.network }, payTo, {
        kind: 'remote',
        url: facilitator.url,
        cdp: null,
      });
      const rotating = createSolanaRail(config, {
        clock,
        log: silentLog,
        dataDir: '/nonexistent',
        mode: 'live',
        fetch: (input, init) => {
          const path = new URL(input instanceof Request ? input.url : input).pathname;
          return fetch(`${urls[turn]}${path}`, init);
        },
      });
      await rotating.refresh();
      turn = 1;
      await rotating.refresh();
      expect(rotating.requirements(1n).extra['feePayer']).toBe(other.publicKey.toBase58());
      const again = await rotating.decode(payment.payload, Date.now());
      expect(again.identity).toBe(payment.identity);
    } finally {
      await second.stop();
    }
  });

  it('says so when the facilitator is down, and does not offer itself (P-13)', async () => {
    const gone = await startSolanaFacilitator(cluster, feePayer);
    const config = solanaConfig(cluster, payTo, { kind: 'remote', url: gone.url, cdp: null });
    await gone.stop();
    const dead = createSolanaRail(config, {
      clock,
      log: silentLog,
      dataDir: '/nonexistent',
      mode: 'live',
    });
    expect(await dead.refresh()).toEqual({
      canSettle: false,
      problem: expect.stringMatching(/does not answer/),
    });
  });
});

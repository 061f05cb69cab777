import { encodeFunctionData, type Hex, parseTransaction, toHex } from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SignedPayment } from '../../src/chains/chain.ts';
import { transferCall } from '../../src/chains/evm-token.ts';
import { anvilBinary, BUNDLER_ABI, TOKEN_ABI } from '../support/anvil.ts';
import { PAY_TO, signCancel } from '../support/evm-payment.ts';
import { type EvmShop, FIVE, openEvmShop, type Signed } from '../support/evm-till.ts';
import type { RpcCall, Verdict } from '../support/rpc-proxy.ts';
import { expectPending, openTill, refusalOf, type Till } from '../support/till.ts';

const BUNDLER = `0x${'b0'.repeat(20)}`;
const MINUTES = 60_000;

describe.skipIf(anvilBinary() === null)('payments that we settle on an EVM chain', () => {
  let shop: EvmShop;
  let till: Till;
  beforeAll(async () => {
    shop = await openEvmShop();
  });
  beforeEach(async () => {
    till = await openTill({ networks: [shop.network], settleTimeoutMs: 1_500 });
  });
  afterEach(async () => {
    shop.proxy.rule = () => 'forward';
    await till[Symbol.asyncDispose]();
  });
  afterAll(() => shop.close());

  const deposit = ({ header }: Signed) => till.payments.deposit(header);
  const callOf = ({ payload }: Signed) => transferCall({ payload } as SignedPayment);

  /** The endpoint is dark from the moment that a transaction was sent, or just before it. */
  function darkAfterSending(verdict: Verdict = 'forward'): () => Promise<unknown> {
    let isDark = false;
    const sent = Promise.withResolvers<void>();
    shop.proxy.rule = ({ method }: RpcCall) => {
      if (isDark) return 'cut';
      if (method !== 'eth_sendRawTransaction') return 'forward';
      isDark = true;
      sent.resolve();
      return verdict;
    };
    return () => sent.promise;
  }

  it('are one credit when fifty copies come at once: one transaction, one transfer (P-1)', async () => {
    const before = await shop.chain.balanceOf(PAY_TO);
    const signed = await shop.pay({ funds: 10n * FIVE });
    shop.proxy.calls.length = 0;
    const answers = await Promise.all(Array.from({ length: 50 }, () => deposit(signed)));
    expect(new Set(answers.map(({ transaction }) => transaction)).size).toBe(1);
    expect(answers.every(({ balance }) => balance.posted === 5_000_000_000)).toBe(true);
    expect(
      shop.proxy.calls.filter(({ method }) => method === 'eth_sendRawTransaction'),
    ).toHaveLength(1);
    expect((await shop.chain.balanceOf(PAY_TO)) - before).toBe(FIVE);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('of one payer go one after another, and of many at the same time', async () => {
    const first = await shop.pay({ funds: 2n * FIVE });
    const second = await shop.pay({ wallet: first.wallet, funds: 0n });
    const third = await shop.pay({ wallet: first.wallet, funds: 0n });
    const others = await Promise.all([shop.pay(), shop.pay()]);
    const ends = await Promise.allSettled([first, second, third, ...others].map(deposit));
    expect(ends.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(await till.deposits()).toHaveLength(4);
  });

  it('survive the process that dies between broadcast and credit', async () => {
    const signed = await shop.pay();
    const sent = darkAfterSending();
    const dying = deposit(signed).catch((error: unknown) => error);
    await sent();
    const before = till;
    till = await till.restart();
    expect(await dying).toBeInstanceOf(Error);
    expect(await till.deposits()).toEqual([]);
    shop.proxy.rule = () => 'forward';
    await till.payments.start();
    await expect.poll(() => till.deposits()).toEqual([5_000_000]);
    expect(await deposit(signed)).toMatchObject({ wasReplayed: true, credited: 5_000_000_000 });
    await before.payments.stop();
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('survive the process that dies after storing and before broadcasting', async () => {
    const signed = await shop.pay();
    const sent = darkAfterSending('cut');
    const dying = deposit(signed).catch((error: unknown) => error);
    await sent();
    till = await till.restart();
    await dying;
    shop.proxy.rule = () => 'forward';
    const row = await till.store.ledger.read
      .selectFrom('payments')
      .selectAll()
      .executeTakeFirstOrThrow();
    expect(row).toMatchObject({
      state: 'submitted',
      raw_transaction: expect.stringMatching(/^[A-Za-z0-9+/]{100,}=*$/),
    });
    for (let look = 0; look < 2; look++) await till.later(2 * MINUTES);
    expect(await till.deposits()).toEqual([5_000_000]);
    const now = await till.store.ledger.read
      .selectFrom('payments')
      .selectAll()
      .executeTakeFirstOrThrow();
    expect(now.transaction_id).toBe(row.transaction_id);
  });

  it('survive the process that dies before anything is signed', async () => {
    const signed = await shop.pay();
    shop.proxy.rule = ({ method }) => (method === 'eth_getBalance' ? 'cut' : 'forward');
    await expectPending(deposit(signed));
    till = await till.restart();
    shop.proxy.rule = () => 'forward';
    await till.payments.start();
    await expect.poll(() => till.deposits()).toEqual([5_000_000]);
  });

  it('are pending, with the transaction, while the chain is dark after a broadcast, then credited once (P-5)', async () => {
    const signed = await shop.pay();
    darkAfterSending();
    const id = await expectPending(deposit(signed));
    expect(await till.payments.status(id)).toMatchObject({
      status: 'pending',
      reason: 'rpc_unavailable',
      transaction: expect.stringMatching(/^0x/),
    });
    await expectPending(deposit(signed));
    expect(await till.deposits()).toEqual([]);
    shop.proxy.rule = () => 'forward';
    const answer = await deposit(signed);
    expect(answer).toMatchObject({ paymentId: id, credited: 5_000_000_000 });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('are credited by the reconciler, which asks less and less often, when nobody sends them again (P-5)', async () => {
    const signed = await shop.pay();
    darkAfterSending();
    const id = await expectPending(deposit(signed));
    const pauses: number[] = [];
    for (let look = 0; look < 8; look++) {
      const { next_check_at } = await till.store.ledger.read
        .selectFrom('payments')
        .select('next_check_at')
        .executeTakeFirstOrThrow();
      pauses.push(Math.round(((next_check_at ?? 0) - till.clock.ms) / 1_000));
      await till.later((next_check_at ?? 0) - till.clock.ms);
    }
    expect(pauses).toEqual([4, 8, 16, 32, 60, 60, 60, 60]);
    shop.proxy.rule = () => 'forward';
    await till.later(MINUTES);
    expect(await till.payments.status(id)).toMatchObject({ status: 'settled' });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it("are credited with a stranger's transaction that was faster, although ours is refused (P-6)", async () => {
    const signed = await shop.pay();
    const stranger: Promise<Hex>[] = [];
    shop.proxy.rule = ({ method }) => {
      if (method !== 'eth_sendRawTransaction') return 'forward';
      if (!stranger.length) stranger.push(shop.chain.send(shop.chain.token, callOf(signed)));
      return 'cut';
    };
    const { transaction, credited } = await deposit(signed);
    expect(credited).toBe(5_000_000_000);
    expect([transaction]).toEqual(await Promise.all(stranger));
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('are sent again with higher fees when a block costs more than they offer, and are one credit', async () => {
    const before = await shop.chain.balanceOf(PAY_TO);
    const [first, second] = [await shop.pay(), await shop.pay()];
    await shop.chain.rpc('evm_setAutomine', [false]);
    const raws: string[] = [];
    shop.proxy.rule = ({ method, params }) => {
      if (method === 'eth_sendRawTransaction') raws.push(String((params as unknown[])[0]));
      return 'forward';
    };
    const waiting = [first, second].map((signed) => expectPending(deposit(signed)));
    const ids = await Promise.all(waiting);
    await dearBlocks(50);
    expect(await till.deposits()).toEqual([]);
    // The first in line is raised, and the other when its turn comes.
    for (let look = 0; look < 6; look++) {
      await till.later(MINUTES);
      await shop.chain.mine();
    }
    await shop.chain.rpc('evm_setAutomine', [true]);
    for (const id of ids) {
      expect(await till.payments.status(id)).toMatchObject({ status: 'settled' });
    }
    expect(await till.deposits()).toEqual([5_000_000, 5_000_000]);
    expect((await shop.chain.balanceOf(PAY_TO)) - before).toBe(2n * FIVE);
    const nonces = new Set(raws.map((raw) => parseTransaction(raw as Hex).nonce));
    expect(nonces.size).toBe(2);
  });

  /** The base fee is that many times as high as what was offered, and stays so for a while. */
  async function dearBlocks(times: number): Promise<void> {
    const { baseFeePerGas } = await shop.chain.rpc<{ baseFeePerGas: Hex }>('eth_getBlockByNumber', [
      'latest',
      false,
    ]);
    const dear = toHex((BigInt(baseFeePerGas) + 1_000_000_000n) * BigInt(times));
    await shop.chain.rpc('anvil_setNextBlockBaseFeePerGas', [dear]);
    await shop.chain.mine();
  }

  it('of four payers in one transaction are four credits (P-15)', async () => {
    await shop.chain.setCode(BUNDLER, 'bundler');
    const signed = await Promise.all([1, 2, 3, 4].map(() => shop.pay()));
    const args = [shop.chain.token, signed.map(callOf)] as const;
    const data = encodeFunctionData({ abi: BUNDLER_ABI, functionName: 'run', args });
    const bundle = await shop.chain.send(BUNDLER, data);
    const answers = await Promise.all(signed.map(deposit));
    expect(answers.map(({ transaction }) => transaction)).toEqual(Array(4).fill(bundle));
    expect(new Set(answers.map(({ accountId }) => accountId)).size).toBe(4);
    expect(await till.deposits()).toHaveLength(4);
  });

  it('fail for good when the payer cancels between verification and settlement (P-11)', async () => {
    const signed = await shop.pay();
    const args = await signCancel(signed.wallet, shop.network, signed.nonce);
    const data = encodeFunctionData({ abi: TOKEN_ABI, functionName: 'cancelAuthorization', args });
    await shop.chain.send(shop.chain.token, data);
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = await refusalOf(deposit(signed));
      const details = { reason: 'cancelled' };
      expect(refused).toMatchObject({ code: 'payment_verification_failed', details });
    }
    expect(await till.deposits()).toEqual([]);
  });

  it('are not credited when USDC is sent straight to us without a signature (P-18)', async () => {
    const { wallet } = await shop.pay();
    await till.payments.deposit((await shop.pay()).header);
    await shop.chain.rpc('anvil_impersonateAccount', [wallet.address]);
    await shop.chain.fund(wallet.address);
    const args = [PAY_TO as Hex, FIVE] as const;
    const data = encodeFunctionData({ abi: TOKEN_ABI, functionName: 'transfer', args });
    await shop.chain.rpc('eth_sendTransaction', [
      { from: wallet.address, to: shop.chain.token, data },
    ]);
    await till.later(10 * MINUTES);
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('to an address that is no longer ours in the settings end all the same (P-19)', async () => {
    const [late, lost, waiting] = [await shop.pay(), await shop.pay(), await shop.pay()];
    darkAfterSending();
    await expectPending(deposit(late));
    shop.proxy.rule = ({ method }) => (method === 'eth_getBalance' ? 'cut' : 'forward');
    await expectPending(deposit(waiting));
    const moved = { ...shop.network, payTo: `0x${'77'.repeat(20)}` };
    till = await till.restart({ networks: [moved] });
    shop.proxy.rule = () => 'forward';
    const answer = await deposit(late);
    expect(answer).toMatchObject({ credited: 5_000_000_000, wasReplayed: false });
    expect(await deposit(waiting)).toMatchObject({ credited: 5_000_000_000 });
    expect(await deposit(late)).toMatchObject({ paymentId: answer.paymentId, wasReplayed: true });
    const refused = await refusalOf(deposit(lost));
    expect(refused).toMatchObject({ code: 'invalid_payment', details: { reason: 'recipient' } });
    expect(await till.deposits()).toHaveLength(2);
  });
});

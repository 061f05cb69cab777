import { type Hex, keccak256 } from 'viem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { transferCall } from '../../src/chains/evm-token.ts';
import { anvilBinary } from '../support/anvil.ts';
import {
  type Bench,
  UNITS,
  openBench,
  openRail,
  recorder,
  settledIn,
  submission,
} from '../support/evm-bench.ts';
import { newWallet, signPayment } from '../support/evm-payment.ts';
import type { RpcCall, Verdict } from '../support/rpc-proxy.ts';

describe.skipIf(anvilBinary() === null)('an EVM rail whose endpoint misbehaves', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ settleTimeoutMs: 1_500 });
  });
  afterAll(() => bench.close());

  it('sends nothing and calls nothing failed while the endpoint is down (P-13)', async () => {
    const payment = await bench.pay();
    bench.proxy.rule = () => 'cut';
    const hooks = recorder();
    const evidence = await bench.rail.settle(payment, hooks);
    const status = await bench.rail.refresh();
    bench.proxy.rule = () => 'forward';
    expect(evidence).toEqual({ state: 'unknown', reason: 'rpc_unavailable', transaction: null });
    expect(hooks.stored).toEqual([]);
    expect(status).toEqual({ canSettle: false, problem: 'the RPC endpoint does not answer' });
    expect(bench.rail.status()).toBe(status);
    settledIn(await bench.rail.settle(payment, hooks));
  });

  it('finds its transaction when the connection is cut after sending (P-5)', async () => {
    const payment = await bench.pay();
    bench.proxy.rule = ({ method }) =>
      method === 'eth_sendRawTransaction' ? 'forward_then_cut' : 'forward';
    const hooks = recorder();
    const evidence = await bench.rail.settle(payment, hooks);
    bench.proxy.rule = () => 'forward';
    expect(settledIn(evidence).transaction).toBe(hooks.stored[0]!.transaction);
    expect(hooks.stored).toHaveLength(1);
  });

  it('leaves a payment unknown, with its transaction, when the chain goes dark after sending (P-5)', async () => {
    const payment = await bench.pay();
    let isDark = false;
    bench.proxy.rule = ({ method }) => {
      if (isDark) return 'cut';
      isDark = method === 'eth_sendRawTransaction';
      return 'forward';
    };
    const hooks = recorder();
    const evidence = await bench.rail.settle(payment, hooks);
    bench.proxy.rule = () => 'forward';
    const { transaction } = hooks.stored[0]!;
    expect(evidence).toEqual({ state: 'unknown', reason: 'rpc_unavailable', transaction });
    expect(
      settledIn(await bench.rail.lookup(submission(payment, hooks.stored[0]))).transaction,
    ).toBe(transaction);
  });

  it('leaves a payment unknown while no block comes, and finds it when one does (P-5)', async () => {
    const payment = await bench.pay();
    await bench.chain.rpc('evm_setAutomine', [false]);
    const hooks = recorder();
    const evidence = await bench.rail.settle(payment, hooks);
    const { transaction } = hooks.stored[0]!;
    expect(evidence).toEqual({ state: 'unknown', reason: 'not_found', transaction });
    expect(await bench.rail.lookup(submission(payment, hooks.stored[0]))).toMatchObject({
      state: 'unknown',
    });
    await bench.chain.mine();
    await bench.chain.rpc('evm_setAutomine', [true]);
    expect(
      settledIn(await bench.rail.lookup(submission(payment, hooks.stored[0]))).transaction,
    ).toBe(transaction);
  });

  it('broadcasts again a transaction that the node lost', async () => {
    const payment = await bench.pay();
    bench.proxy.rule = ({ method, params }) =>
      method === 'eth_sendRawTransaction' ? { result: keccak256(params[0] as Hex) } : 'forward';
    const hooks = recorder();
    const evidence = await bench.rail.settle(payment, hooks);
    bench.proxy.rule = () => 'forward';
    const { transaction } = hooks.stored[0]!;
    expect(evidence).toEqual({ state: 'unknown', reason: 'not_found', transaction });
    const again = await bench.rail.lookup(submission(payment, hooks.stored[0]));
    expect(again).toEqual({ state: 'unknown', reason: 'rebroadcast', transaction });
    expect(
      settledIn(await bench.rail.lookup(submission(payment, hooks.stored[0]))).transaction,
    ).toBe(transaction);
  });

  it('pays more for gas when the node calls it underpriced, and stores that transaction too', async () => {
    // What was lost before left the wallet ahead of the chain.
    const rail = await openRail(bench.network);
    let refusals = 0;
    bench.proxy.rule = ({ method }) => {
      if (method !== 'eth_sendRawTransaction' || refusals === 2) return 'forward';
      refusals += 1;
      return { error: { code: -32_000, message: 'transaction underpriced: tip needed' } };
    };
    const hooks = recorder();
    const { transaction } = settledIn(await rail.settle(await bench.pay(), hooks));
    bench.proxy.rule = () => 'forward';
    expect(hooks.stored.map((stored) => stored.transaction).at(-1)).toBe(transaction);
    expect(new Set(hooks.stored.map((stored) => stored.transaction)).size).toBe(3);
  });

  it('does not replace its own earlier payment when the node says that the nonce is taken', async () => {
    const rail = await openRail(bench.network);
    let refusals = 0;
    bench.proxy.rule = ({ method }) => {
      if (method !== 'eth_sendRawTransaction' || refusals === 1) return 'forward';
      refusals += 1;
      return { error: { code: -32_000, message: 'replacement transaction underpriced' } };
    };
    const hooks = recorder();
    const pending = rail.settle(await bench.pay(), hooks);
    await expect.poll(() => hooks.stored.length).toBe(2);
    // Its nonce is one ahead now: somebody's transaction with the nonce before lets it through.
    bench.proxy.rule = () => 'forward';
    settledIn(await (await openRail(bench.network)).settle(await bench.pay(), recorder()));
    expect(settledIn(await pending).transaction).toBe(hooks.stored[1]!.transaction);
  });

  it('asks for logs in smaller ranges when the endpoint refuses, and finds a payment used long ago', async () => {
    const payment = await bench.pay();
    const transaction = await bench.chain.send(bench.chain.token, transferCall(payment));
    await bench.chain.mine(200);
    bench.proxy.calls.length = 0;
    bench.proxy.rule = refuseRangesAbove(50);
    const evidence = await bench.rail.lookup(submission(payment));
    bench.proxy.rule = () => 'forward';
    expect(settledIn(evidence).transaction).toBe(transaction);
    expect(logCalls(bench)).toBeGreaterThan(5);
  });
});

describe.skipIf(anvilBinary() === null)('an EVM rail and the age of a payment', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench();
  });
  afterAll(() => bench.close());

  it('counts confirmations before it answers settled, and finality after', async () => {
    const network = { ...bench.network, confirmations: 3 };
    const rail = await openRail(network, { settleTimeoutMs: 300 });
    const payment = await bench.pay();
    const hooks = recorder();
    expect(await rail.settle(payment, hooks)).toMatchObject({
      state: 'unknown',
      reason: 'confirming',
    });
    await bench.chain.mine(1);
    expect(await rail.lookup(submission(payment, hooks.stored[0]))).toMatchObject({
      reason: 'confirming',
    });
    await bench.chain.mine(1);
    expect(settledIn(await rail.lookup(submission(payment, hooks.stored[0])))).toMatchObject({
      isFinal: true,
    });
    const young = await bench.pay();
    expect(settledIn(await bench.rail.settle(young, recorder())).isFinal).toBe(false);
  });

  it('sees that a reorganisation took a credited transfer away, and settles it anew (P-14)', async () => {
    const payment = await bench.pay();
    const hooks = recorder();
    const { transaction } = settledIn(await bench.rail.settle(payment, hooks));
    await bench.chain.rpc('anvil_reorg', [1, []]);
    expect(await bench.chain.balanceOf(payment.payer)).toBe(UNITS);
    const withoutRaw = submission(payment, { transaction, raw: '' });
    expect(await bench.rail.lookup({ ...withoutRaw, rawTransaction: null })).toEqual({
      state: 'unknown',
      reason: 'not_found',
      transaction,
    });
    expect(await bench.rail.lookup(submission(payment, hooks.stored[0]))).toMatchObject({
      reason: 'rebroadcast',
    });
    expect(
      settledIn(await bench.rail.lookup(submission(payment, hooks.stored[0]))).transaction,
    ).toBe(transaction);
  });

  it('follows a transfer that a reorganisation moved into another transaction (P-14)', async () => {
    const payment = await bench.pay();
    const hooks = recorder();
    settledIn(await bench.rail.settle(payment, hooks));
    await bench.chain.rpc('anvil_reorg', [1, []]);
    const stranger = await bench.chain.send(bench.chain.token, transferCall(payment));
    expect(
      settledIn(await bench.rail.lookup(submission(payment, hooks.stored[0]))).transaction,
    ).toBe(stranger);
  });

  it("waits out the validity of an unused authorization by the chain's clock, then calls it failed", async () => {
    const payment = await bench.pay();
    const lookup = () => bench.rail.lookup(submission(payment));
    expect(await lookup()).toMatchObject({ state: 'unknown', reason: 'not_submitted' });
    await bench.chain.rpc('evm_increaseTime', [330]);
    await bench.chain.mine();
    expect(await lookup()).toMatchObject({ state: 'unknown', reason: 'not_submitted' });
    await bench.chain.rpc('evm_increaseTime', [60]);
    await bench.chain.mine();
    expect(await lookup()).toMatchObject({ state: 'failed', reason: 'expired' });
  });

  it('still finds a payment that was used in time, long after it expired', async () => {
    const now = await bench.chain.nowSeconds();
    const wallet = newWallet();
    await bench.chain.mint(wallet.address, UNITS);
    const payload = await signPayment(wallet, bench.network, UNITS, now);
    const payment = await bench.rail.decode(payload, now * 1_000);
    const transaction = await bench.chain.send(bench.chain.token, transferCall(payment));
    await bench.chain.rpc('anvil_mine', ['0x190', '0x3c']);
    bench.proxy.calls.length = 0;
    bench.proxy.rule = refuseRangesAbove(200);
    const evidence = await bench.rail.lookup(submission(payment));
    bench.proxy.rule = () => 'forward';
    expect(settledIn(evidence).transaction).toBe(transaction);
    // Blocks long after validBefore are not looked at: together they would have been too many.
    expect(logCalls(bench)).toBe(1);
  });

  it('never settles on a token that takes an authorization and moves nothing (P-9)', async () => {
    await bench.chain.setCode(bench.chain.token, 'silent');
    const wallet = newWallet();
    const now = await bench.chain.nowSeconds();
    const payment = await bench.rail.decode(
      await signPayment(wallet, bench.network, UNITS, now),
      now * 1_000,
    );
    const rail = await openRail(bench.network);
    const evidence = await rail.settle(payment, recorder());
    await bench.chain.setCode(bench.chain.token, 'runtime');
    expect(evidence).toMatchObject({ state: 'unknown', reason: 'no_transfer' });
  });
});

function refuseRangesAbove(blocks: number) {
  return ({ method, params }: RpcCall): Verdict => {
    const { fromBlock, toBlock } = (params[0] ?? {}) as { fromBlock: Hex; toBlock: Hex };
    const isWide = method === 'eth_getLogs' && Number(toBlock) - Number(fromBlock) >= blocks;
    return isWide ? { error: { code: -32_000, message: 'block range too wide' } } : 'forward';
  };
}

function logCalls(bench: Bench): number {
  return bench.proxy.calls.filter(({ method }) => method === 'eth_getLogs').length;
}

import { type Hex, encodeFunctionData, keccak256 } from 'viem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { transferCall } from '../../src/chains/evm-token.ts';
import { BUNDLER_ABI, STRANGER, TOKEN_ABI, anvilBinary } from '../support/anvil.ts';
import {
  type Bench,
  GAS_ADDRESS,
  UNITS,
  openBench,
  openRail,
  recorder,
  settledIn,
  submission,
} from '../support/evm-bench.ts';
import { PAY_TO, newWallet, signCancel, signPayment } from '../support/evm-payment.ts';

const BUNDLER = `0x${'b0'.repeat(20)}`;

describe.skipIf(anvilBinary() === null)('an EVM rail that settles itself', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench();
  });
  afterAll(() => bench.close());

  it('can settle on a chain with the right token and gas', async () => {
    expect(await bench.rail.refresh()).toEqual({ canSettle: true, problem: null });
  });

  it('stores the signed transaction before the chain has it, then moves exactly what was signed', async () => {
    const payment = await bench.pay();
    const before = await bench.chain.balanceOf(PAY_TO);
    const seen: unknown[] = [];
    const hooks = recorder(async () => {
      const { transaction } = hooks.stored.at(-1)!;
      seen.push(await bench.chain.rpc('eth_getTransactionByHash', [transaction]));
      seen.push((await bench.chain.balanceOf(PAY_TO)) - before);
    });
    const { transaction } = settledIn(await bench.rail.settle(payment, hooks));
    expect(seen).toEqual([null, 0n]);
    expect(hooks.stored).toEqual([{ transaction, raw: expect.any(String) }]);
    expect(keccak256(hooks.stored[0]!.raw as Hex)).toBe(transaction);
    expect((await bench.chain.balanceOf(PAY_TO)) - before).toBe(UNITS);
  });

  it('answers a payment that is settled already with that transaction, and sends nothing (P-1)', async () => {
    const payment = await bench.pay();
    const first = settledIn(await bench.rail.settle(payment, recorder()));
    const restarted = await openRail(bench.network);
    for (const rail of [bench.rail, restarted]) {
      const hooks = recorder();
      expect(settledIn(await rail.settle(payment, hooks)).transaction).toBe(first.transaction);
      expect(hooks.stored).toEqual([]);
    }
  });

  it('refuses a payer without the money before anything is stored or sent (P-11)', async () => {
    const payment = await bench.pay({ funds: UNITS - 1n });
    const hooks = recorder();
    const evidence = await bench.rail.settle(payment, hooks);
    expect(evidence).toMatchObject({ state: 'failed', reason: 'insufficient_funds' });
    expect(hooks.stored).toEqual([]);
  });

  it('does not call a payment failed on a simulation when it was handed on before', async () => {
    const payment = await bench.pay({ funds: 0n });
    const evidence = await bench.rail.settle(payment, { ...recorder(), hasEarlierAttempt: true });
    expect(evidence).toEqual({ state: 'unknown', reason: 'not_submitted', transaction: null });
  });

  it('leaves a transfer that reverts on chain open until it expires, since another may still succeed (P-11)', async () => {
    const payment = await bench.pay();
    const hooks = recorder(() => bench.chain.send(bench.chain.token, blacklistCall(payment.payer)));
    const evidence = await bench.rail.settle(payment, hooks);
    expect(evidence).toEqual({
      state: 'unknown',
      reason: 'reverted',
      transaction: hooks.stored[0]!.transaction,
    });
  });

  it('fails a payment that its payer cancelled between verification and settlement (P-11)', async () => {
    const wallet = newWallet();
    await bench.chain.mint(wallet.address, UNITS);
    const now = Math.floor(Date.now() / 1_000);
    const payload = await signPayment(wallet, bench.network, UNITS, now);
    const payment = await bench.rail.decode(payload, now * 1_000);
    const args = await signCancel(wallet, bench.network, payment.identity);
    const cancel = encodeFunctionData({
      abi: TOKEN_ABI,
      functionName: 'cancelAuthorization',
      args,
    });
    const evidence = await bench.rail.settle(
      payment,
      recorder(() => bench.chain.send(bench.chain.token, cancel)),
    );
    expect(evidence).toMatchObject({ state: 'failed', reason: 'cancelled' });
    expect(await bench.rail.settle(payment, recorder())).toMatchObject({ reason: 'cancelled' });
    expect(await bench.rail.lookup(submission(payment))).toMatchObject({ reason: 'cancelled' });
  });

  it('credits the transaction of whoever was faster, although ours reverts (P-6)', async () => {
    const payment = await bench.pay();
    let stranger = '';
    const hooks = recorder(async () => {
      stranger = await bench.chain.send(bench.chain.token, transferCall(payment));
    });
    const { transaction } = settledIn(await bench.rail.settle(payment, hooks));
    expect(transaction).toBe(stranger);
    expect(hooks.stored[0]!.transaction).not.toBe(stranger);
    expect(
      settledIn(await bench.rail.lookup(submission(payment, hooks.stored[0]))).transaction,
    ).toBe(stranger);
  });

  it('tells four payments in one transaction apart, and a fifth that is not in it (P-15)', async () => {
    await bench.chain.setCode(BUNDLER, 'bundler');
    const payments = await Promise.all([1, 2, 3, 4, 5].map(() => bench.pay()));
    const calls = payments.slice(0, 4).map((payment) => transferCall(payment));
    const args = [bench.chain.token, calls] as const;
    const data = encodeFunctionData({ abi: BUNDLER_ABI, functionName: 'run', args });
    const transaction = await bench.chain.send(BUNDLER, data);
    const found = await Promise.all(
      payments.map((payment) => bench.rail.lookup(submission(payment, { transaction, raw: '0x' }))),
    );
    expect(found.slice(0, 4).map((evidence) => settledIn(evidence).transaction)).toEqual(
      Array(4).fill(transaction),
    );
    expect(found[4]).toEqual({ state: 'unknown', reason: 'not_found', transaction });
  });

  it("never takes a plain transfer or a stranger's payment for the one asked about", async () => {
    const payment = await bench.pay();
    const other = await bench.pay();
    const { transaction } = settledIn(await bench.rail.settle(other, recorder()));
    const evidence = await bench.rail.lookup(submission(payment, { transaction, raw: '0x' }));
    expect(evidence).toMatchObject({ state: 'unknown', reason: 'not_found' });
    expect(
      await bench.rail.lookup(
        submission({ ...other, amount: UNITS + 1n }, { transaction, raw: '0x' }),
      ),
    ).toMatchObject({
      state: 'unknown',
      reason: 'no_transfer',
    });
  });

  it('settles twenty payments at once from one gas wallet', async () => {
    const payments = await Promise.all(Array.from({ length: 20 }, () => bench.pay()));
    const found = await Promise.all(
      payments.map((payment) => bench.rail.settle(payment, recorder())),
    );
    expect(new Set(found.map((evidence) => settledIn(evidence).transaction)).size).toBe(20);
  });

  it('recovers when another program used its gas key', async () => {
    settledIn(await bench.rail.settle(await bench.pay(), recorder()));
    const other = await openRail(bench.network);
    settledIn(await other.settle(await bench.pay(), recorder()));
    const hooks = recorder();
    settledIn(await bench.rail.settle(await bench.pay(), hooks));
    expect(hooks.stored).toHaveLength(2);
  });
});

describe.skipIf(anvilBinary() === null)('the self-check of an EVM rail', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench();
  });
  afterAll(() => bench.close());

  it('notices another chain behind the endpoint (P-10)', async () => {
    const rail = await openRail({ ...bench.network, network: 'eip155:84532' });
    expect((await rail.refresh()).problem).toBe('the RPC endpoint serves chain 8453, not 84532');
  });

  it('notices a token with another EIP-712 domain (P-10)', async () => {
    const rail = await openRail({ ...bench.network, domain: { name: 'USDC', version: '2' } });
    expect((await rail.refresh()).problem).toContain('EIP-712 domain');
    const nowhere = await openRail({ ...bench.network, asset: STRANGER });
    expect((await nowhere.refresh()).canSettle).toBe(false);
  });

  it('stops asking for money when the gas wallet runs dry, and neither stores nor sends', async () => {
    await bench.chain.fund(GAS_ADDRESS, 1n);
    const status = await bench.rail.refresh();
    expect(status.canSettle).toBe(false);
    expect(status.problem).toContain(GAS_ADDRESS);
    const hooks = recorder();
    const evidence = await bench.rail.settle(await bench.pay(), hooks);
    expect(evidence).toEqual({ state: 'unknown', reason: 'no_gas_money', transaction: null });
    expect(hooks.stored).toEqual([]);
    const cost = BigInt(/costs up to (\d+)/.exec(status.problem!)![1]!);
    await bench.chain.fund(GAS_ADDRESS, cost * 20n);
    const low = await bench.rail.refresh();
    expect(low).toMatchObject({ canSettle: true, problem: null });
    expect(low.gasLow).toMatch(/pays for \d{1,2} more settlements/);
    await bench.chain.fund(GAS_ADDRESS);
    expect(await bench.rail.refresh()).toEqual({ canSettle: true, problem: null });
  });

  it.each([
    ['a gas key that is none', { kind: 'embedded', gasKey: 'secret' }],
    [
      'a facilitator over plain http (P-12)',
      { kind: 'remote', url: 'http://example.com/x402', cdp: null },
    ],
  ] as const)('refuses to be built with %s, without showing it', async (_, facilitator) => {
    const built = openRail({ ...bench.network, facilitator });
    await expect(built).rejects.toMatchObject({ code: 'not_configured' });
    await expect(built).rejects.not.toThrow(/secret/);
  });
});

function blacklistCall(account: string): Hex {
  return encodeFunctionData({
    abi: TOKEN_ABI,
    functionName: 'blacklist',
    args: [account as Hex, true],
  });
}

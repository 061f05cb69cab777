import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Rail } from '../../src/chains/chain.ts';
import { anvilBinary } from '../support/anvil.ts';
import {
  type Bench,
  GAS_KEY,
  UNITS,
  openBench,
  openRail,
  recorder,
  settledIn,
  submission,
} from '../support/evm-bench.ts';
import { PAY_TO, evmNetwork } from '../support/evm-payment.ts';
import { type TestFacilitator, startFacilitator } from '../support/facilitator.ts';

describe.skipIf(anvilBinary() === null)('an EVM rail with a remote facilitator', () => {
  let bench: Bench;
  let facilitator: TestFacilitator;
  /** Checks the facilitator's word on chain. */
  let checking: Rail;
  /** Has nothing but its word. */
  let trusting: Rail;

  beforeAll(async () => {
    bench = await openBench();
    const { chainId, url } = bench.chain;
    facilitator = await startFacilitator({ evm: { chainId, rpcUrl: url, key: GAS_KEY } });
    checking = await openRemote(facilitator.url, bench.proxy.url);
    trusting = await openRemote(facilitator.url, null);
  });
  afterEach(() => facilitator.mode('honest'));
  afterAll(async () => {
    await facilitator.stop();
    await bench.close();
  });

  function openRemote(url: string, rpcUrl: string | null, settleTimeoutMs = 1_500): Promise<Rail> {
    const network = evmNetwork({ kind: 'remote', url, cdp: null }, rpcUrl);
    return openRail(network, { settleTimeoutMs });
  }

  it('can settle what the facilitator lists, and looks up only with an RPC', async () => {
    expect(await checking.refresh()).toEqual({ canSettle: true, problem: null });
    expect(await trusting.refresh()).toEqual({ canSettle: true, problem: null });
    expect([checking.canLookUp, trusting.canLookUp]).toEqual([true, false]);
    const network = evmNetwork({ kind: 'remote', url: facilitator.url, cdp: null }, null, {
      network: 'eip155:84532',
    });
    expect((await (await openRail(network)).refresh()).problem).toContain('eip155:84532');
  });

  it('settles an honest payment, with the block it saw or none', async () => {
    const seen = await checking.settle(await bench.pay(), recorder());
    expect(seen).toMatchObject({
      state: 'settled',
      amount: UNITS,
      block: expect.stringMatching(/^\d+$/),
    });
    const told = await trusting.settle(await bench.pay(), recorder());
    expect(told).toMatchObject({ state: 'settled', amount: UNITS, block: null, isFinal: false });
  });

  it('sends what is configured and signed, and nothing else (P-10)', async () => {
    const payment = await bench.pay();
    await trusting.settle(payment, recorder());
    const call = (await facilitator.calls()).at(-1)!;
    const requirements = {
      scheme: 'exact',
      network: 'eip155:8453',
      amount: String(UNITS),
      asset: bench.network.asset,
      payTo: PAY_TO,
      maxTimeoutSeconds: 300,
      extra: { name: 'USD Coin', version: '2' },
    };
    expect(call).toEqual({
      path: '/settle',
      authorization: null,
      body: {
        x402Version: 2,
        paymentPayload: { x402Version: 2, accepted: requirements, payload: payment.payload },
        paymentRequirements: requirements,
      },
    });
  });

  it('credits the signer and the signed amount, whoever and whatever the answer names (P-16)', async () => {
    await facilitator.mode('settles-wrong-payer');
    for (const rail of [checking, trusting]) {
      expect(settledIn(await rail.settle(await bench.pay(), recorder())).transaction).toMatch(
        /^0x/,
      );
    }
  });

  it.each([
    ['settlement_pending with a hash (P-4)', 'settles-then-pending', 'settlement_pending'],
    ['no answer in time (P-5)', 'settles-then-hangs', 'facilitator_timeout'],
    ['502 (P-5)', 'settles-then-502', 'facilitator_failed'],
    ['a connection that is cut (P-5)', 'settles-then-cuts', 'facilitator_unreachable'],
  ] as const)(
    'settled and then %s: our chain decides; without one it stays unknown',
    async (_, mode, reason) => {
      await facilitator.mode(mode);
      settledIn(await checking.settle(await bench.pay(), recorder()));
      const payment = await bench.pay();
      expect(await trusting.settle(payment, recorder())).toMatchObject({
        state: 'unknown',
        reason,
      });
      await facilitator.mode('honest');
      // Sent again, it is refused as used: that is not "failed", it is our own success.
      expect(await trusting.settle(payment, recorder())).toMatchObject({ state: 'unknown' });
      const restarted = await openRemote(facilitator.url, null);
      const again = { ...recorder(), hasEarlierAttempt: true };
      expect(await restarted.settle(payment, again)).toMatchObject({ state: 'unknown' });
      settledIn(await checking.lookup(submission(payment)));
    },
  );

  it('finds on chain a transfer that the facilitator denies (P-6)', async () => {
    await facilitator.mode('settles-then-refuses');
    settledIn(await checking.settle(await bench.pay(), recorder()));
  });

  it('does not believe a success that its chain does not show; without a chain it passes the word on (P-7)', async () => {
    await facilitator.mode('lies-success');
    const payment = await bench.pay();
    expect(await checking.settle(payment, recorder())).toMatchObject({
      state: 'unknown',
      reason: 'not_found',
    });
    expect(await trusting.settle(await bench.pay(), recorder())).toMatchObject({
      state: 'settled',
      block: null,
    });
    await facilitator.mode('honest');
    settledIn(await checking.settle(payment, recorder()));
  });

  it.each([
    ['429', 'busy', 'facilitator_busy'],
    ['500', 'server-error', 'facilitator_failed'],
    ['HTML', 'garbage', 'facilitator_garbage'],
    ['200 KB', 'huge', 'facilitator_garbage'],
    ['a redirect', 'redirect', 'facilitator_unreachable'],
    ['silence', 'hangs', 'facilitator_timeout'],
  ] as const)(
    'leaves a payment unknown when the facilitator answers %s (P-13)',
    async (_, mode, reason) => {
      await facilitator.mode(mode);
      for (const rail of [checking, trusting]) {
        const evidence = await rail.settle(await bench.pay(), recorder());
        expect(evidence).toEqual({ state: 'unknown', reason, transaction: null });
      }
    },
  );

  it('leaves a payment unknown while the facilitator is down, and is not advertised (P-13)', async () => {
    const payment = await bench.pay();
    const nobody = 'http://127.0.0.1:9';
    for (const rpcUrl of [bench.proxy.url, null]) {
      const rail = await openRemote(nobody, rpcUrl);
      expect(await rail.settle(payment, recorder())).toMatchObject({ state: 'unknown' });
      expect(await rail.refresh()).toEqual({
        canSettle: false,
        problem: 'the facilitator does not answer /supported',
      });
    }
  });

  it('hands on nothing while its own endpoint is dark, since it could not check the answer', async () => {
    const payment = await bench.pay();
    const before = (await facilitator.calls()).length;
    bench.proxy.rule = () => 'cut';
    const evidence = await checking.settle(payment, recorder());
    bench.proxy.rule = () => 'forward';
    expect(evidence).toEqual({ state: 'unknown', reason: 'rpc_unavailable', transaction: null });
    expect((await facilitator.calls()).length).toBe(before);
  });

  it('refuses a payer without funds before anything is settled (P-11)', async () => {
    const before = await settleCalls(facilitator);
    for (const rail of [checking, trusting]) {
      const payment = await bench.pay({ funds: 0n });
      expect(await rail.settle(payment, recorder())).toMatchObject({ state: 'failed' });
    }
    expect(await settleCalls(facilitator)).toBe(before);
  });

  it('speaks x402 v1 to a facilitator that knows nothing else', async () => {
    const { chainId, url } = bench.chain;
    const old = await startFacilitator({
      evm: { chainId, rpcUrl: url, key: `0x${'7b'.repeat(32)}`, v1Name: 'base' },
      v1Only: true,
    });
    try {
      const signers = (await (await fetch(`${old.url}/supported`)).json()) as {
        signers: Record<string, string[]>;
      };
      await bench.chain.fund(signers.signers['eip155:*']![0]!);
      const rail = await openRemote(old.url, bench.proxy.url);
      expect((await rail.refresh()).canSettle).toBe(true);
      settledIn(await rail.settle(await bench.pay(), recorder()));
      const { body } = (await old.calls()).at(-1)!;
      expect(body).toMatchObject({
        x402Version: 1,
        paymentPayload: { x402Version: 1, network: 'base' },
        paymentRequirements: { network: 'base', maxAmountRequired: String(UNITS) },
      });
    } finally {
      await old.stop();
    }
  });
});

async function settleCalls(facilitator: TestFacilitator): Promise<number> {
  return (await facilitator.calls()).filter(({ path }) => path === '/settle').length;
}

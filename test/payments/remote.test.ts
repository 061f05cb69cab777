import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NetworkConfig, PaymentsConfig } from '../../src/config/config.ts';
import { parseUsd } from '../../src/money.ts';
import { anvilBinary } from '../support/anvil.ts';
import { GAS_KEY } from '../support/evm-bench.ts';
import { type EvmShop, FIVE, openEvmShop, type Signed } from '../support/evm-till.ts';
import { type TestFacilitator, startFacilitator } from '../support/facilitator.ts';
import { reserveRequest } from '../support/store.ts';
import { expectPending, openTill, refusalOf, type Till } from '../support/till.ts';

const MINUTE = 60_000;

describe.skipIf(anvilBinary() === null)('payments that a facilitator settles', () => {
  let shop: EvmShop;
  let facilitator: TestFacilitator;
  /** The facilitator's word is checked on chain. */
  let checked: NetworkConfig;
  /** Its word is all there is. */
  let trusted: NetworkConfig;
  let till: Till;

  beforeAll(async () => {
    shop = await openEvmShop();
    const { chainId, url } = shop.chain;
    facilitator = await startFacilitator({ evm: { chainId, rpcUrl: url, key: GAS_KEY } });
    const config = { kind: 'remote', url: facilitator.url, cdp: null } as const;
    checked = shop.through(config, shop.proxy.url);
    trusted = shop.through(config, null);
  });
  afterEach(async () => {
    await facilitator.mode('honest');
    shop.proxy.rule = () => 'forward';
    await till[Symbol.asyncDispose]();
  });
  afterAll(async () => {
    await facilitator.stop();
    await shop.close();
  });

  const deposit = ({ header }: Signed) => till.payments.deposit(header);
  const settles = async () =>
    (await facilitator.calls()).filter(({ path }) => path === '/settle').length;
  async function open(network: NetworkConfig, config: Partial<PaymentsConfig> = {}) {
    till = await openTill({ networks: [network], config, settleTimeoutMs: 700 });
  }

  describe('and our own chain confirms', () => {
    beforeEach(() => open(checked));

    it('are handed over once however often they come (P-1)', async () => {
      const before = await settles();
      const signed = await shop.pay();
      await Promise.all(Array.from({ length: 20 }, () => deposit(signed)));
      expect(await settles()).toBe(before + 1);
      expect(await till.deposits()).toEqual([5_000_000]);
    });

    it.each([
      ['answers settlement_pending with the hash (P-4)', 'settles-then-pending'],
      ['times out after settling (P-5)', 'settles-then-hangs'],
      ['answers 502 after settling (P-5)', 'settles-then-502'],
      ['cuts the connection after settling (P-5)', 'settles-then-cuts'],
      ['denies what it settled (P-6)', 'settles-then-refuses'],
      ['names another payer and amount (P-16)', 'settles-wrong-payer'],
    ] as const)('are credited once to their signer when it %s', async (_, mode) => {
      await facilitator.mode(mode);
      const signed = await shop.pay();
      const { payer, credited } = await deposit(signed);
      expect({ payer, credited }).toEqual({
        payer: signed.wallet.address.toLowerCase(),
        credited: 5_000_000_000,
      });
      await deposit(signed);
      expect(await till.deposits()).toEqual([5_000_000]);
    });

    it('are not credited on its word when the chain does not show them, nor called failed before they expire (P-7)', async () => {
      await facilitator.mode('lies-success');
      const signed = await shop.pay();
      const id = await expectPending(deposit(signed));
      await till.later(MINUTE);
      expect(await till.payments.status(id)).toMatchObject({ status: 'pending' });
      expect(await till.deposits()).toEqual([]);
      await facilitator.mode('honest');
      await till.later(2 * MINUTE);
      expect(await till.deposits()).toEqual([5_000_000]);
    });

    it.each([
      ['is busy', 'busy'],
      ['fails', 'server-error'],
      ['never answers', 'hangs'],
    ] as const)(
      'wait while it %s, and are handed over again by themselves (P-13)',
      async (_, mode) => {
        await facilitator.mode(mode);
        const signed = await shop.pay();
        const id = await expectPending(deposit(signed));
        await facilitator.mode('honest');
        await till.later(2 * MINUTE);
        expect(await till.payments.status(id)).toMatchObject({ status: 'settled' });
        expect(await till.deposits()).toEqual([5_000_000]);
      },
    );

    it('do not keep anybody from spending while it is down (P-13)', async () => {
      const rich = await shop.pay({ funds: 2n * FIVE });
      const { accountId } = await deposit(rich);
      await facilitator.mode('hangs');
      const waiting = expectPending(deposit(await shop.pay({ wallet: rich.wallet, funds: 0n })));
      const hold = await till.store.ledger.reserve(reserveRequest(accountId, 1_000));
      await till.store.ledger.capture(hold, hold.amount, null);
      await waiting;
      expect(await till.store.available(accountId)).toBe(4_999_999_000);
      expect(await till.deposits()).toEqual([5_000_000]);
    });

    it('of wallets without money fail plainly, each time they come (P-11)', async () => {
      const signed = await shop.pay({ funds: 0n });
      for (let attempt = 0; attempt < 2; attempt++) {
        const refused = await refusalOf(deposit(signed));
        const details = { reason: 'insufficient_funds' };
        expect(refused).toMatchObject({ code: 'payment_verification_failed', details });
      }
      await shop.chain.mint(signed.wallet.address, FIVE);
      expect(await deposit(signed)).toMatchObject({ credited: 5_000_000_000 });
      expect(await till.deposits()).toEqual([5_000_000]);
    });
  });

  describe('and nothing of ours can confirm', () => {
    it('are credited on its word up to the limit for a payer and the limit for all, then wait (P-7)', async () => {
      await open(trusted, { exposurePerPayer: parseUsd('10'), exposureTotal: parseUsd('15') });
      await facilitator.mode('lies-success');
      const [first, second] = [await shop.pay({ funds: 20n * FIVE }), await shop.pay()];
      const more = () => shop.pay({ wallet: first.wallet, funds: 0n });
      await deposit(first);
      await deposit(await more());
      const over = await refusalOf(deposit(await more()));
      expect(over).toMatchObject({ code: 'payment_pending', details: { reason: 'exposure' } });
      expect(over.message).toContain('limit for unconfirmed payments');
      await deposit(second);
      await expectPending(deposit(await shop.pay()));
      await till.later(MINUTE);
      expect(await till.deposits()).toEqual([5_000_000, 5_000_000, 5_000_000]);
      expect(till.lines).toContainEqual(
        expect.objectContaining({ level: 'error', event: 'payment_waits' }),
      );
    });

    it('are confirmed, or taken back, once an RPC is set up (P-7)', async () => {
      await open(trusted, { exposurePerPayer: parseUsd('5') });
      const real = await shop.pay({ funds: 2n * FIVE });
      const { accountId } = await deposit(real);
      const waiting = await shop.pay({ wallet: real.wallet, funds: 0n });
      await expectPending(deposit(waiting));
      await facilitator.mode('lies-success');
      const fake = await shop.pay();
      const lie = await deposit(fake);
      await facilitator.mode('honest');
      till = await till.restart({ networks: [checked], config: {} });
      await till.payments.start();
      await expect.poll(() => till.deposits()).toEqual([5_000_000, 5_000_000, 5_000_000]);
      const rows = await till.store.ledger.read
        .selectFrom('payments')
        .select(['id', 'is_exposed', 'state'])
        .orderBy('id')
        .execute();
      expect(rows.map(({ state, is_exposed }) => [state, is_exposed])).toEqual([
        ['settled', 0],
        ['settled', 0],
        ['settled', 1],
      ]);
      expect((await till.store.accounts.balance(accountId)).posted).toBe(10_000_000_000);
      await till.payments.stop();
      await shop.chain.rpc('evm_increaseTime', [600]);
      await shop.chain.mine();
      await till.later(20 * MINUTE);
      expect(await till.payments.status(lie.paymentId)).toMatchObject({
        status: 'reversed',
        reason: 'not_on_chain',
      });
      expect((await till.store.accounts.balance(lie.accountId)).posted).toBe(0);
      await till.deposits();
    });
  });

  it('that it settled without saying so are not called failed when it refuses them after a restart (P-5)', async () => {
    await open(trusted);
    await facilitator.mode('settles-then-502');
    const signed = await shop.pay();
    const id = await expectPending(deposit(signed));
    expect(await shop.chain.balanceOf(signed.wallet.address)).toBe(0n);
    await facilitator.mode('honest');
    till = await till.restart();
    expect(await expectPending(deposit(signed))).toBe(id);
    await till.later(MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'pending' });
    till = await till.restart({ networks: [checked] });
    expect(await deposit(signed)).toMatchObject({ paymentId: id, credited: 5_000_000_000 });
    expect(await till.deposits()).toEqual([5_000_000]);
  });

  it('that settle without a word to us wait for the operator, are asked about again, and are never called failed (P-5)', async () => {
    await open(trusted);
    await facilitator.mode('settles-then-502');
    const now = await shop.chain.nowSeconds();
    till.clock.ms = now * 1_000;
    const id = await expectPending(deposit(await shop.pay({ fields: validFor(now) })));
    for (let minutes = 0; minutes < 30; minutes += 5) await till.later(5 * MINUTE);
    expect(await till.payments.status(id)).toMatchObject({ status: 'pending' });
    expect(till.lines).toContainEqual(
      expect.objectContaining({ level: 'error', event: 'payment_needs_operator' }),
    );
    expect(await till.deposits()).toEqual([]);
  });
});

function validFor(nowSeconds: number) {
  return { validAfter: String(nowSeconds - 600), validBefore: String(nowSeconds + 300) };
}

import type { Hex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NetworkConfig } from '../../src/config/config.ts';
import type { PayoutRow } from '../../src/db/tables.ts';
import { parseUsd } from '../../src/money.ts';
import { anvilBinary } from '../support/anvil.ts';
import { GAS_KEY } from '../support/evm-bench.ts';
import { type EvmShop, FIVE, openEvmShop } from '../support/evm-till.ts';
import { startFacilitator, type TestFacilitator } from '../support/facilitator.ts';
import { darkAfterSending, type LiveShop, openLiveShop } from '../support/live-shop.ts';

const MINUTE = 60_000;
const TREASURY_KEY: Hex = `0x${'7e'.repeat(32)}`;
const OTHER_KEY: Hex = `0x${'7f'.repeat(32)}`;
const TWO = 2_000_000;

describe.skipIf(anvilBinary() === null)('payouts over reloads', () => {
  let shop: EvmShop;
  let facilitator: TestFacilitator;
  let live: LiveShop;
  beforeAll(async () => {
    shop = await openEvmShop();
    const { chainId, url } = shop.chain;
    facilitator = await startFacilitator({ evm: { chainId, rpcUrl: url, key: GAS_KEY } });
    for (const key of [TREASURY_KEY, OTHER_KEY]) {
      await shop.chain.mint(privateKeyToAddress(key), 100n * FIVE);
    }
  });
  beforeEach(async () => {
    live = await openLiveShop([paidBy(TREASURY_KEY)]);
  });
  afterEach(async () => {
    shop.proxy.rule = () => 'forward';
    await live.close();
  });
  afterAll(async () => {
    await facilitator.stop();
    await shop.close();
  });

  function paidBy(treasuryKey?: Hex): NetworkConfig {
    const key = treasuryKey === undefined ? {} : { treasuryKey };
    return { ...shop.network, facilitator: { kind: 'embedded', gasKey: GAS_KEY, ...key } };
  }

  /** A wallet that paid $5 in, and what it holds on the chain. */
  async function customer() {
    const signed = await shop.pay();
    expect((await live.topUp(signed)).status).toBe(200);
    const address = signed.wallet.address.toLowerCase();
    const wallet = { family: 'eip155', address, chain: '' } as const;
    const accountId = (await live.app.app.store.accounts.walletAccount(wallet))!;
    return { accountId, balance: () => shop.chain.balanceOf(address) };
  }

  const pay = (accountId: string): Promise<PayoutRow> =>
    live.app.app.payouts.make('cli', {
      accountId,
      amount: parseUsd('2'),
      method: 'embedded',
      reason: 'a test',
    });

  const stateOf = async (id: string) => (await live.app.app.payouts.get(id)).state;

  async function paidOnce(id: string, balance: () => Promise<bigint>): Promise<void> {
    shop.proxy.rule = () => 'forward';
    for (let look = 0; look < 3; look++) await live.later(2 * MINUTE);
    await expect.poll(() => stateOf(id)).toBe('settled');
    expect(await live.moved('WITHDRAWAL')).toEqual([TWO]);
    expect(await balance()).toBe(BigInt(TWO));
  }

  const nexts: [what: string, next: () => NetworkConfig[]][] = [
    ['another treasury', () => [paidBy(OTHER_KEY)]],
    ['no treasury', () => [paidBy()]],
    ['no such network', () => []],
    [
      'a facilitator',
      () => [{ ...shop.network, facilitator: { kind: 'remote', url: facilitator.url, cdp: null } }],
    ],
  ];

  it.each(nexts)('that are on their way when there is %s are paid once', async (_, next) => {
    const { accountId, balance } = await customer();
    const sent = darkAfterSending(shop);
    const made = pay(accountId);
    await sent;
    await live.reload(next());
    const { id, state } = await made;
    expect(state).toBe('sent');
    await paidOnce(id, balance);
    await live.reload([paidBy(TREASURY_KEY)]);
    await paidOnce(id, balance);
  });

  it.each(nexts)(
    'that were signed and never broadcast are paid at most once when there is %s',
    async (_, next) => {
      const { accountId, balance } = await customer();
      shop.proxy.rule = ({ method }) => (method === 'eth_sendRawTransaction' ? 'cut' : 'forward');
      const { id, state } = await pay(accountId);
      expect(state).toBe('sent');
      await live.reload(next());
      await paidOnce(id, balance);
    },
  );

  it('that are on their way are seen to their end by a start without their network', async () => {
    const { accountId, balance } = await customer();
    const sent = darkAfterSending(shop);
    const made = pay(accountId);
    await sent;
    const { id } = await made;
    await live.restart([]);
    expect(live.app.logged).toContainEqual(
      expect.objectContaining({ event: 'network_gone', open: expect.stringContaining('1 payout') }),
    );
    await paidOnce(id, balance);
  });

  it('that are approved wait for a treasury, and are sent once by the one that comes', async () => {
    const { accountId, balance } = await customer();
    const row = await asked(accountId);
    await live.reload([paidBy()]);
    for (let look = 0; look < 2; look++) await live.later(2 * MINUTE);
    expect(await live.app.app.payouts.get(row)).toMatchObject({
      state: 'approved',
      reason: 'no_treasury',
    });
    await live.reload([]);
    await live.later(2 * MINUTE);
    expect(await stateOf(row)).toBe('approved');
    await live.reload([paidBy(OTHER_KEY)]);
    await paidOnce(row, balance);
  });

  /** A payout that is approved, while the chain cannot be read to sign it. */
  async function asked(accountId: string): Promise<string> {
    shop.proxy.rule = () => 'cut';
    const { id, state } = await pay(accountId);
    expect(state).toBe('approved');
    shop.proxy.rule = () => 'forward';
    return id;
  }
});

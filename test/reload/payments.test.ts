import { privateKeyToAddress } from 'viem/accounts';
import type { Hex } from 'viem';
import { parseTransaction, recoverTransactionAddress } from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NetworkConfig } from '../../src/config/config.ts';
import { checkOpen } from '../../src/doctor/machine.ts';
import { anvilBinary } from '../support/anvil.ts';
import { GAS_KEY } from '../support/evm-bench.ts';
import { PAY_TO } from '../support/evm-payment.ts';
import { type EvmShop, FIVE, openEvmShop, type Signed } from '../support/evm-till.ts';
import { startFacilitator, type TestFacilitator } from '../support/facilitator.ts';
import { type LiveShop, openLiveShop, pendingPayment } from '../support/live-shop.ts';
import { site } from '../support/site.ts';

const BASE = 'eip155:8453';
const MINUTE = 60_000;
const OTHER_KEY: Hex = `0x${'5b'.repeat(32)}`;
const OTHER_PLACE = `0x${'c4'.repeat(20)}`;

describe.skipIf(anvilBinary() === null)('payments over reloads', () => {
  let shop: EvmShop;
  let facilitator: TestFacilitator;
  let live: LiveShop;
  beforeAll(async () => {
    shop = await openEvmShop();
    const { chainId, url } = shop.chain;
    facilitator = await startFacilitator({ evm: { chainId, rpcUrl: url, key: OTHER_KEY } });
    await shop.chain.fund(privateKeyToAddress(OTHER_KEY));
  });
  beforeEach(async () => {
    live = await openLiveShop([shop.network]);
  });
  afterEach(async () => {
    shop.proxy.rule = () => 'forward';
    await live.close();
  });
  afterAll(async () => {
    await facilitator.stop();
    await shop.close();
  });

  const light = () => {
    shop.proxy.rule = () => 'forward';
  };
  const remote = (): NetworkConfig['facilitator'] => ({
    kind: 'remote',
    url: facilitator.url,
    cdp: null,
  });
  /** What wants an eye, by the page of an operator. */
  async function attention(): Promise<string> {
    live.clock.ms += 6_000;
    return (await site(live.app)).page('/admin');
  }
  async function creditedOnce(signed: Signed): Promise<void> {
    await live.later(2 * MINUTE);
    await expect.poll(() => live.moved('DEPOSIT')).toEqual([5_000_000]);
    const again = await live.topUp(signed);
    expect(again.status).toBe(200);
    expect(await live.moved('DEPOSIT')).toEqual([5_000_000]);
  }

  it('that are pending on a network that is taken away are still answered, and credited once (P-5)', async () => {
    const signed = await pendingPayment(shop, live);
    await live.reload([]);
    const again = await live.topUp(signed);
    expect(again.status).toBe(503);
    expect(again.json).toMatchObject({ code: 'X402_SETTLEMENT_PENDING' });
    expect(await attention()).toContain(
      `${BASE} is not set up any more, with 1 payment open there: looked for until`,
    );
    light();
    // Nothing new is taken there.
    const fresh = await live.topUp(await shop.pay());
    expect(fresh.status).toBe(400);
    expect(fresh.text).toContain('payments are taken on no network');
    await creditedOnce(signed);
  });

  it('that are being settled when their network is taken away are credited by the answer', async () => {
    const signed = await shop.pay();
    await shop.chain.rpc('evm_setAutomine', [false]);
    const sent = Promise.withResolvers<void>();
    shop.proxy.rule = ({ method }) => {
      if (method === 'eth_sendRawTransaction') sent.resolve();
      return 'forward';
    };
    const answer = live.topUp(signed);
    await sent.promise;
    await live.reload([]);
    await shop.chain.mine();
    await shop.chain.rpc('evm_setAutomine', [true]);
    expect((await answer).status).toBe(200);
    await creditedOnce(signed);
  });

  it('that are pending when their network is taken away survive a restart without it, keyless (P-5)', async () => {
    const signed = await pendingPayment(shop, live);
    await live.reload([]);
    await live.restart([]);
    expect(live.app.logged).toContainEqual(
      expect.objectContaining({ event: 'network_gone', network: BASE, open: '1 payment' }),
    );
    expect(await attention()).toContain(`${BASE} is not set up any more, with 1 payment open`);
    const [finding] = await checkOpen(live.app.dataDir, []);
    expect(finding).toMatchObject({ state: 'warn', subject: `payments on ${BASE}` });
    expect((await live.topUp(signed)).status).toBe(503);
    light();
    await creditedOnce(signed);
    // Nothing is kept of it once all is known: not before the payment is final.
    await shop.chain.mine(8);
    await live.later(10 * MINUTE);
    expect(await keptNetworks()).toEqual([`network ${BASE}`]);
    await live.restart([]);
    expect(await keptNetworks()).toEqual([]);
    expect(await checkOpen(live.app.dataDir, [])).toEqual([]);
  });

  it('keep no key of a network beside the books, and nothing of it in the clear', async () => {
    const rows = await live.app.app.store.ledger.read.selectFrom('meta').selectAll().execute();
    const row = rows.find(({ key }) => key === `network ${BASE}`);
    expect(row).toBeDefined();
    expect(row!.value).not.toContain('http');
    const opened = live.app.app.store.boxFor('networks').open(`meta/${row!.key}`, row!.value);
    expect(JSON.parse(opened)).toMatchObject({ network: BASE, rpcUrl: shop.proxy.url });
    expect(opened).not.toContain(GAS_KEY.slice(2));
  });

  it('on a network of which nothing is kept are said to be nobody’s, until it is set up again', async () => {
    const signed = await pendingPayment(shop, live);
    await live.app.app.store.ledger.write(({ db }) =>
      db.deleteFrom('meta').where('key', '=', `network ${BASE}`).execute(),
    );
    await live.restart([]);
    expect(live.app.logged).toContainEqual(
      expect.objectContaining({ event: 'network_gone', network: BASE, canLook: false }),
    );
    expect(await attention()).toContain('nobody looks for them. Set it up again');
    light();
    await live.later(2 * MINUTE);
    expect(await live.moved('DEPOSIT')).toEqual([]);
    await live.reload([shop.network]);
    await creditedOnce(signed);
  });

  const changes: [what: string, next: () => NetworkConfig][] = [
    ['another recipient', () => ({ ...shop.network, payTo: OTHER_PLACE })],
    [
      'another gas key',
      () => ({ ...shop.network, facilitator: { kind: 'embedded', gasKey: OTHER_KEY } }),
    ],
    ['a facilitator whose word is checked', () => ({ ...shop.network, facilitator: remote() })],
    [
      'a facilitator and no endpoint',
      () => ({ ...shop.network, rpcUrl: null, facilitator: remote() }),
    ],
  ];
  it.each(changes)(
    'that are pending when %s comes, and goes again, are credited once',
    async (_, next) => {
      const before = await shop.chain.balanceOf(PAY_TO);
      const signed = await pendingPayment(shop, live);
      await live.reload([next()]);
      expect((await live.topUp(signed)).status).toBe(503);
      light();
      await creditedOnce(signed);
      await live.reload([shop.network]);
      await creditedOnce(signed);
      const fresh = await live.topUp(await shop.pay());
      expect(fresh.status).toBe(200);
      expect((await shop.chain.balanceOf(PAY_TO)) - before).toBe(2n * FIVE);
    },
  );

  it.each([changes[0]!, changes[3]!])(
    'that are pending are credited once when the next start has %s',
    async (_, next) => {
      const signed = await pendingPayment(shop, live);
      await live.restart([next()]);
      light();
      await creditedOnce(signed);
    },
  );

  it('that a facilitator did not answer for are credited once when we settle ourselves from now on (P-5)', async () => {
    await live.reload([{ ...shop.network, facilitator: remote() }]);
    await facilitator.mode('settles-then-hangs');
    shop.proxy.rule = ({ method }) => (method === 'eth_getLogs' ? 'cut' : 'forward');
    const signed = await shop.pay();
    const answer = await live.topUp(signed);
    await facilitator.mode('honest');
    expect([200, 503]).toContain(answer.status);
    await live.reload([shop.network]);
    light();
    await creditedOnce(signed);
  });

  it('of one gas key take no nonce twice while rails follow one another', async () => {
    const sent = new Set<Hex>();
    shop.proxy.rule = ({ method, params }) => {
      if (method === 'eth_sendRawTransaction') sent.add(params[0] as Hex);
      return 'forward';
    };
    const waiting: ReturnType<typeof live.topUp>[] = [];
    for (let round = 0; round < 6; round++) {
      const signed = await Promise.all([1, 2, 3, 4].map(() => shop.pay()));
      waiting.push(...signed.map((one) => live.topUp(one)));
      // Another rail with the same key, while the old one still sends.
      await live.reload([
        { ...shop.network, confirmations: 1, payTo: PAY_TO, v1Name: `n${round}` },
      ]);
    }
    await Promise.all(waiting);
    // On a slow machine the answer to one may be that it is pending.
    await live.later(MINUTE);
    await expect.poll(() => live.moved('DEPOSIT')).toHaveLength(24);
    const senders = await Promise.all(
      Array.from(sent, (raw) =>
        recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` }),
      ),
    );
    expect(new Set(senders).size).toBe(1);
    const nonces = Array.from(sent, (raw) => parseTransaction(raw).nonce);
    expect(new Set(nonces).size).toBe(nonces.length);
    expect(nonces).toHaveLength(24);
  });

  async function keptNetworks(): Promise<string[]> {
    const rows = await live.app.app.store.ledger.read.selectFrom('meta').select('key').execute();
    return rows.map(({ key }) => key).filter((key) => key.startsWith('network '));
  }
});

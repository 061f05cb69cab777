import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Keypair } from '@solana/web3.js';
import { encodeFunctionData, type Hex } from 'viem';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import bs58 from 'bs58';
import { makeBackup } from '../../src/backup/backup.ts';
import { restoreBackup } from '../../src/backup/restore.ts';
import type { SignedPayment } from '../../src/chains/chain.ts';
import { transferCall } from '../../src/chains/evm-token.ts';
import type { NetworkConfig } from '../../src/config/config.ts';
import { anvilBinary, BUNDLER_ABI, TOKEN_ABI } from '../support/anvil.ts';
import { PAY_TO } from '../support/evm-payment.ts';
import { type EvmShop, FIVE, openEvmShop } from '../support/evm-till.ts';
import { hasSolana, type SolanaCluster, startSolana } from '../support/solana.ts';
import { signWithStockClient, solanaConfig } from '../support/solana-payments.ts';
import { testStore } from '../support/store.ts';
import { cameAs, openTill, type Till } from '../support/till.ts';

const BUNDLER = `0x${'b1'.repeat(20)}`;
const WAIT_MS = 10_000;

let dir: string;
let till: Till;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'farebox-reread-'));
});
afterEach(() => till[Symbol.asyncDispose]());
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Loses everything since the backup: another directory takes it up, with the chain as it is now. */
async function loseAndRestore(network: NetworkConfig): Promise<Till> {
  const { clock, store } = till;
  await till[Symbol.asyncDispose]();
  const dataDir = await mkdtemp(join(dir, 'restored-'));
  const { reread } = await restoreBackup({
    file: join(dir, 'backup.tgz'),
    dataDir,
    passphrase: 'a long enough passphrase',
    acceptRollback: false,
    masterKey: null,
    networks: [network.network],
    pid: 0,
    nowMs: store.clock.nowMs(),
  });
  expect(reread?.networks).toEqual([network.network]);
  return openTill({ networks: [network], clock, store: await testStore({ dataDir, clock }) });
}

function backUp(): Promise<unknown> {
  return makeBackup({
    dataDir: till.store.dataDir,
    target: join(dir, 'backup.tgz'),
    passphrase: 'a long enough passphrase',
    nowMs: till.clock.nowMs(),
  });
}

async function started(): Promise<void> {
  await till.payments.start();
  await expect
    .poll(() => till.lines.some(({ event }) => event === 'payments_reread'), { timeout: WAIT_MS })
    .toBe(true);
}

describe.skipIf(anvilBinary() === null)(
  'payments made between a backup and its restore, EVM',
  () => {
    let shop: EvmShop;
    beforeAll(async () => {
      shop = await openEvmShop();
    });
    afterAll(() => shop.close());

    it('are found on the chain and credited once, also when they are sent again (S-25)', async () => {
      till = await openTill({ networks: [shop.network] });
      const before = await shop.pay();
      await till.payments.deposit(before.header);
      await backUp();
      const after = await shop.pay({ units: 7_000_000n });
      await till.payments.deposit(after.header);
      till = await loseAndRestore(shop.network);
      expect(await till.deposits()).toEqual([5_000_000]);
      await started();
      expect(await till.deposits()).toEqual([5_000_000, 7_000_000]);
      for (const { header } of [before, after]) {
        expect((await till.payments.deposit(header)).wasReplayed).toBe(true);
      }
      expect(await till.deposits()).toEqual([5_000_000, 7_000_000]);
    });

    it('in one transaction are told apart, and plain transfers are nobody’s payment', async () => {
      till = await openTill({ networks: [shop.network] });
      await backUp();
      await shop.chain.setCode(BUNDLER, 'bundler');
      const two = [await shop.pay(), await shop.pay()];
      const calls = two.map(({ payload }) => transferCall({ payload } as SignedPayment));
      const args = [shop.chain.token, calls] as const;
      await shop.chain.send(
        BUNDLER,
        encodeFunctionData({ abi: BUNDLER_ABI, functionName: 'run', args }),
      );
      await shop.chain.mint('0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266', FIVE);
      const gift = [PAY_TO as Hex, FIVE] as const;
      await shop.chain.send(
        shop.chain.token,
        encodeFunctionData({ abi: TOKEN_ABI, functionName: 'transfer', args: gift }),
      );
      till = await loseAndRestore(shop.network);
      await started();
      const payers = await till.store.ledger.read
        .selectFrom('payments')
        .select('payer')
        .where(
          'payer',
          'in',
          two.map(({ wallet }) => wallet.address.toLowerCase()),
        )
        .execute();
      expect(payers).toHaveLength(2);
      const stranger = await till.store.ledger.read
        .selectFrom('payments')
        .select('id')
        .where('payer', '=', '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266')
        .execute();
      expect(stranger).toEqual([]);
      for (const { header } of two) {
        expect((await till.payments.deposit(header)).wasReplayed).toBe(true);
      }
      await till.deposits();
    });

    it('stay to be read while the chain cannot be', async () => {
      till = await openTill({ networks: [shop.network] });
      await backUp();
      const { header } = await shop.pay();
      await till.payments.deposit(header);
      till = await loseAndRestore(shop.network);
      shop.proxy.rule = ({ method }) => (method === 'eth_getLogs' ? 'cut' : 'forward');
      await till.payments.start();
      await expect
        .poll(() => till.lines.some(({ event }) => event === 'payments_not_reread'), {
          timeout: WAIT_MS,
        })
        .toBe(true);
      shop.proxy.rule = () => 'forward';
      await till.payments.stop();
      till = await till.restart();
      await started();
      expect((await till.deposits()).at(-1)).toBe(5_000_000);
    });
  },
);

describe.skipIf(!(await hasSolana()))(
  'payments made between a backup and its restore, Solana',
  () => {
    let cluster: SolanaCluster;
    let network: NetworkConfig;
    beforeAll(async () => {
      cluster = await startSolana();
      const [gas, shop] = [Keypair.generate(), Keypair.generate()];
      cluster.runtime.airdrop(gas.publicKey.toBase58(), 10_000_000_000n);
      const payTo = shop.publicKey.toBase58();
      cluster.runtime.setTokens(payTo, cluster.mint, 0n);
      const gasKey = bs58.encode(gas.secretKey);
      network = solanaConfig(cluster, payTo, { kind: 'embedded', gasKey });
    });
    afterAll(() => cluster.stop());

    it('are found on the chain and credited once, also when they are sent again (S-25)', async () => {
      till = await openTill({ networks: [network] });
      cluster.runtime.nowMs = () => till.clock.nowMs();
      await till.rails[0]!.refresh();
      await backUp();
      const requirements = till.rails[0]!.requirements(FIVE);
      const payload = await signWithStockClient(cluster.wallet(FIVE), requirements, cluster.url);
      const header = cameAs(network, payload);
      await till.payments.deposit(header);
      till = await loseAndRestore(network);
      await started();
      expect(await till.deposits()).toEqual([5_000_000]);
      expect((await till.payments.deposit(header)).wasReplayed).toBe(true);
      expect(await till.deposits()).toEqual([5_000_000]);
    });
  },
);

import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Keypair } from '@solana/web3.js';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { privateKeyToAccount, generatePrivateKey } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SettleHooks, SignedPayment } from '../../src/chains/chain.ts';
import { KNOWN_NETWORKS, SOLANA_DEVNET, SOLANA_MAINNET } from '../../src/chains/networks.ts';
import { createSandboxRail, type SandboxRail } from '../../src/chains/sandbox.ts';
import { SandboxBook } from '../../src/chains/sandbox-book.ts';
import { buildSolanaPayment } from '../../src/chains/solana-build.ts';
import type { NetworkConfig } from '../../src/config/config.ts';
import { silentLog } from '../../src/log.ts';
import { hasSolana, startSolana } from '../support/solana.ts';
import { signWithStockClient, solanaConfig, testClock } from '../support/solana-payments.ts';

const canRunSolana = await hasSolana();
const BASE_SEPOLIA = 'eip155:84532';
const DOLLAR = 1_000_000n;
const START = 1_000n * DOLLAR;
const EVM_SHOP = '0x2670b922ef37c7df47158725c0cc407b5382293f';
const SOLANA_SHOP = Keypair.generate().publicKey.toBase58();
const hooks: SettleHooks = { beforeBroadcast: () => Promise.resolve() };

let dataDir: string;
const clock = testClock();
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'farebox-play-'));
  clock.offsetMs = 0;
});
afterEach(() => rm(dataDir, { recursive: true }));

function evmConfig(): NetworkConfig {
  const known = KNOWN_NETWORKS.get(BASE_SEPOLIA)!;
  return {
    network: BASE_SEPOLIA,
    family: 'eip155',
    v1Name: known.v1Name,
    payTo: EVM_SHOP,
    asset: known.asset,
    domain: known.domain,
    facilitator: { kind: 'sandbox' },
    rpcUrl: null,
    confirmations: 1,
  };
}

function solanaNetwork(network = SOLANA_DEVNET): NetworkConfig {
  return solanaConfig({ url: null, network }, SOLANA_SHOP, { kind: 'sandbox' });
}

function open(config: NetworkConfig, mode: 'sandbox' | 'live' = 'sandbox'): Promise<SandboxRail> {
  return createSandboxRail(config, { clock, log: silentLog, dataDir, mode });
}

interface Payer {
  address: string;
  /** The inner payload for a requirement of that rail. */
  sign(rail: SandboxRail, amount: bigint): Promise<unknown>;
}

/** @x402/evm's client. */
function evmPayer(): Payer {
  const account = privateKeyToAccount(generatePrivateKey());
  return {
    address: account.address.toLowerCase(),
    async sign(rail, amount) {
      const requirements = rail.requirements(amount) as never;
      const { payload } = await new ExactEvmScheme(account).createPaymentPayload(2, requirements);
      return payload;
    },
  };
}

/** Our own builder: it needs nothing but the requirement. */
function solanaPayer(): Payer {
  const wallet = Keypair.generate();
  return {
    address: wallet.publicKey.toBase58(),
    async sign(rail, amount) {
      const { extra, payTo, asset } = rail.requirements(amount);
      const transaction = buildSolanaPayment({
        secretKey: wallet.secretKey,
        feePayer: String(extra['feePayer']),
        blockhash: String(extra['recentBlockhash']),
        memo: String(extra['memo']),
        payTo,
        mint: asset,
        amount,
      });
      return { transaction };
    },
  };
}

const families: [string, () => NetworkConfig, () => Payer][] = [
  ['EVM', evmConfig, evmPayer],
  ['Solana', solanaNetwork, solanaPayer],
];

describe.each(families)('the play chain on %s', (_family, config, newPayer) => {
  let rail: SandboxRail;
  let payer: Payer;
  beforeEach(async () => {
    rail = await open(config());
    payer = newPayer();
  });

  async function signed(amount: bigint): Promise<SignedPayment> {
    return rail.decode(await payer.sign(rail, amount), clock.nowMs());
  }

  function submission(payment: SignedPayment, transaction: string | null = null) {
    return { payment, transaction, rawTransaction: null, submittedAtMs: clock.nowMs() };
  }

  it('moves play USDC for a real signature, and knows of it after a restart', async () => {
    const payment = await signed(3n * DOLLAR);
    expect(payment.payer).toBe(payer.address);
    const announced: string[] = [];
    const evidence = await rail.settle(payment, {
      beforeBroadcast: async (transaction) => void announced.push(transaction),
    });
    expect(evidence).toMatchObject({ state: 'settled', amount: 3n * DOLLAR, isFinal: true });
    expect(announced).toEqual([evidence.state === 'settled' && evidence.transaction]);
    expect(rail.balanceOf(payer.address)).toBe(START - 3n * DOLLAR);
    expect(rail.balanceOf(config().payTo)).toBe(START + 3n * DOLLAR);
    const reopened = await open(config());
    expect(await reopened.lookup(submission(payment))).toEqual(evidence);
    expect(await reopened.settle(payment, hooks)).toEqual(evidence);
    expect(reopened.balanceOf(payer.address)).toBe(START - 3n * DOLLAR);
  });

  it('moves the money once for one payment settled fifty times at once (P-1)', async () => {
    const payment = await signed(DOLLAR);
    const all = await Promise.all(Array.from({ length: 50 }, () => rail.settle(payment, hooks)));
    for (const evidence of all) expect(evidence).toEqual(all[0]);
    expect(rail.balanceOf(payer.address)).toBe(START - DOLLAR);
  });

  it('refuses what the wallet does not have, before it announces anything', async () => {
    const payment = await signed(START + 1n);
    const announced: string[] = [];
    const evidence = await rail.settle(payment, {
      beforeBroadcast: async (transaction) => void announced.push(transaction),
    });
    expect(evidence).toMatchObject({ state: 'failed', reason: 'insufficient_funds' });
    expect(announced).toEqual([]);
  });

  it('lets concurrent payments spend a balance once', async () => {
    const payments = await Promise.all(Array.from({ length: 5 }, () => signed(300n * DOLLAR)));
    const all = await Promise.all(payments.map((payment) => rail.settle(payment, hooks)));
    expect(all.filter(({ state }) => state === 'settled')).toHaveLength(3);
    expect(rail.balanceOf(payer.address)).toBe(100n * DOLLAR);
  });

  it('carries on what was announced before a crash, and calls expired what never was', async () => {
    const [announced, never] = [await signed(DOLLAR), await signed(DOLLAR)];
    let transaction: string | null = null;
    await rail.settle(announced, {
      beforeBroadcast: async (sent) => {
        transaction = sent;
        throw new Error('power cut');
      },
    });
    expect(rail.balanceOf(payer.address)).toBe(START);
    const reopened = await open(config());
    expect(await reopened.lookup(submission(announced, transaction))).toMatchObject({
      state: 'settled',
      transaction,
    });
    expect(await reopened.lookup(submission(never))).toMatchObject({ state: 'unknown' });
    clock.offsetMs = 3_600_000;
    expect(await reopened.lookup(submission(never, 'x'))).toMatchObject({
      state: 'failed',
      reason: 'expired',
    });
    expect(await reopened.settle(never, hooks)).toMatchObject({ state: 'failed' });
    expect(await reopened.lookup(submission(announced))).toMatchObject({ state: 'settled' });
  });

  it('refuses a forged signature', async () => {
    const payload = (await payer.sign(rail, DOLLAR)) as Record<string, unknown>;
    const other = (await newPayer().sign(rail, DOLLAR)) as Record<string, unknown>;
    const forged =
      typeof payload['transaction'] === 'string'
        ? { transaction: swapSignature(payload['transaction'], String(other['transaction'])) }
        : { ...payload, signature: other['signature'] };
    await expect(rail.decode(forged, clock.nowMs())).rejects.toMatchObject({
      code: 'invalid_payment',
      details: { reason: 'signature' },
    });
  });

  it('keeps its book in one small file for its owner alone', async () => {
    await rail.settle(await signed(DOLLAR), hooks);
    const path = join(dataDir, `play-${config().network.replace(':', '-')}.json`);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ version: 1, block: 2 });
  });

  it('says unknown, and moves the money later, when the disk fails', async () => {
    const payment = await signed(DOLLAR);
    await rm(dataDir, { recursive: true });
    expect(await rail.settle(payment, hooks)).toMatchObject({ state: 'unknown' });
    await open(config());
    expect(await rail.settle(payment, hooks)).toMatchObject({ state: 'settled' });
    expect(rail.balanceOf(payer.address)).toBe(START - DOLLAR);
  });
});

describe('the play chain', () => {
  it('exists in sandbox mode and on test networks only', async () => {
    await expect(open(evmConfig(), 'live')).rejects.toMatchObject({ code: 'not_configured' });
    await expect(open(solanaNetwork(SOLANA_MAINNET))).rejects.toMatchObject({
      code: 'not_configured',
    });
  });

  it('refuses a book that it cannot read rather than begin a new one', async () => {
    await open(evmConfig());
    await writeFile(join(dataDir, 'play-eip155-84532.json'), '{');
    await expect(open(evmConfig())).rejects.toMatchObject({ code: 'not_configured' });
  });

  it.skipIf(!canRunSolana)(
    'is paid by a stock Solana client, which takes the blockhash from the 402',
    async () => {
      // Of a node it reads the mint, nothing else.
      const node = await startSolana(SOLANA_DEVNET);
      try {
        const rail = await open(solanaNetwork());
        const wallet = Keypair.generate();
        const requirements = rail.requirements(DOLLAR);
        const payload = await signWithStockClient(wallet, requirements, node.url);
        const payment = await rail.decode(payload, clock.nowMs());
        expect(await rail.settle(payment, hooks)).toMatchObject({ state: 'settled' });
        expect([...node.calls.keys()]).toEqual(['getAccountInfo']);
      } finally {
        await node.stop();
      }
    },
  );

  it('takes its own blockhashes only, and each for two minutes', async () => {
    const rail = await open(solanaNetwork());
    const { extra, payTo, asset } = rail.requirements(DOLLAR);
    const terms = {
      secretKey: Keypair.generate().secretKey,
      feePayer: String(extra['feePayer']),
      payTo,
      mint: asset,
      amount: DOLLAR,
    };
    const foreign = buildSolanaPayment({
      ...terms,
      blockhash: Keypair.generate().publicKey.toBase58(),
    });
    const own = buildSolanaPayment({ ...terms, blockhash: String(extra['recentBlockhash']) });
    const settle = async (transaction: string) =>
      rail.settle(await rail.decode({ transaction }, clock.nowMs()), hooks);
    expect(await settle(foreign)).toMatchObject({ state: 'failed', reason: 'blockhash_not_found' });
    clock.offsetMs = 120_001;
    expect(await settle(own)).toMatchObject({ state: 'failed', reason: 'expired' });
  });
});

function swapSignature(transaction: string, other: string): string {
  const bytes = Buffer.from(transaction, 'base64');
  Buffer.from(other, 'base64').copy(bytes, 65, 65, 129);
  return bytes.toString('base64');
}

describe('the book of the play chain', () => {
  const move = (index: number, atMs: number) => ({
    key: `payment ${index}`,
    payer: 'a',
    payTo: 'b',
    amount: 1n,
    transaction: `${index}`,
    atMs,
  });

  it('stays bounded: it forgets the oldest after a day, admits that, and is full before', async () => {
    const path = join(dataDir, 'book.json');
    const book = await SandboxBook.open(path);
    const day = 24 * 3_600_000;
    const many = Array.from({ length: 10_000 }, (_, index) => book.move(move(index, index)));
    await Promise.all(many);
    expect(await book.move(move(10_000, day - 1))).toBe('full');
    expect(await book.move(move(10_000, day))).toMatchObject({ amount: '1' });
    expect(book.payment('payment 0')).toBe(null);
    expect([book.hasForgotten(0), book.hasForgotten(1)]).toEqual([true, false]);
    const reopened = await SandboxBook.open(path);
    expect(reopened.payment('payment 0')).toBe(null);
    expect(reopened.hasForgotten(0)).toBe(true);
    expect(reopened.payment('payment 1')).toMatchObject({ transaction: '1' });
    expect(reopened.balanceOf('b')).toBe(START + 10_001n);
  });
});

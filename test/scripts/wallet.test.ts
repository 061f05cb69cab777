import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_NETWORKS } from '../../src/chains/networks.ts';
import { createSandboxRail } from '../../src/chains/sandbox.ts';
import { systemClock } from '../../src/clock.ts';
import type { NetworkConfig } from '../../src/config/config.ts';
import { silentLog } from '../../src/log.ts';
import { readPaymentHeader } from '../../src/payments/header.ts';
import { signPayment } from '../../scripts/wallet/pay.ts';
import { createWallet, openWallet, randomWallet } from '../../scripts/wallet/wallet-file.ts';

const PAY_TO = {
  eip155: '0x2222222222222222222222222222222222222222',
  solana: '8qUL23aSj7mDWdoLMXGHFvnVCT9wd7jXcysiekroADEL',
};
const NETWORKS = ['eip155:84532', 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1'];

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'farebox-wallet-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

function playNetwork(network: string): NetworkConfig {
  const known = KNOWN_NETWORKS.get(network)!;
  const { family, v1Name, asset, domain } = known;
  return {
    network,
    family,
    v1Name,
    asset,
    domain,
    payTo: PAY_TO[family],
    facilitator: { kind: 'sandbox' },
    rpcUrl: null,
    confirmations: 1,
  };
}

describe('the wallet file', () => {
  it('is readable by its owner alone, and gives the same keys again', async () => {
    const file = join(directory, 'deep', 'wallet.json');
    const made = await createWallet(file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await openWallet(file)).toEqual(made);
  });

  it('is never overwritten', async () => {
    const file = join(directory, 'kept.json');
    await createWallet(file);
    const before = await readFile(file, 'utf8');
    await expect(createWallet(file)).rejects.toThrow(/is there already/);
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  it('is refused when others may read it', async () => {
    const file = join(directory, 'open.json');
    await createWallet(file);
    await chmod(file, 0o644);
    await expect(openWallet(file)).rejects.toThrow(/chmod 600/);
  });
});

describe('a payment of the wallet', () => {
  it.each(NETWORKS)('is read by the rail as what was asked for, on %s', async (network) => {
    const config = playNetwork(network);
    const rail = await createSandboxRail(config, {
      clock: systemClock,
      log: silentLog,
      dataDir: directory,
      mode: 'sandbox',
    });
    const wallet = randomWallet();
    const { name, value } = await signPayment(wallet, rail.requirements(7_654_321n), null);
    const header = readPaymentHeader([{ name, value }]);
    const payment = await rail.decode(header.payload, Date.now());
    expect(header.network).toBe(network);
    expect(payment.amount).toBe(7_654_321n);
    expect(payment.payTo).toBe(config.payTo);
    const { evm, solana } = wallet;
    expect(payment.payer).toBe(
      config.family === 'eip155' ? evm.address.toLowerCase() : solana.address,
    );
    await rail.close();
  });

  it('is not signed for a token that is not USDC', async () => {
    const requirement = {
      scheme: 'exact' as const,
      network: 'eip155:8453',
      amount: '1000000',
      asset: '0x1111111111111111111111111111111111111111',
      payTo: PAY_TO.eip155,
      maxTimeoutSeconds: 300,
      extra: { name: 'USD Coin', version: '2' },
    };
    await expect(signPayment(randomWallet(), requirement, null)).rejects.toThrow(/not a USDC/);
  });
});

describe('npm run wallet', () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['scripts/wallet.ts', ...args]);

  it('says in a sentence that nobody answers', async () => {
    const file = join(directory, 'cli.json');
    const made = await run('new', '--file', file, '--json');
    expect(JSON.parse(made.stdout)).toMatchObject({ evm: expect.stringMatching(/^0x/) });
    const failed = run('balance', '--file', file, '--url', 'http://127.0.0.1:9');
    await expect(failed).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^No answer from http:\/\/127\.0\.0\.1:9\. .*\n$/),
    });
  });
});

import { createKeyPairSignerFromBytes } from '@solana/kit';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { ExactSvmScheme } from '@x402/svm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Anvil, anvilBinary, startAnvil } from '../support/anvil.ts';
import { chatBody, decoded, startApp, type TestApp } from '../support/app.ts';
import { GAS_ADDRESS, GAS_KEY } from '../support/evm-bench.ts';
import { evmNetwork, newWallet } from '../support/evm-payment.ts';
import { hasSolana, type SolanaCluster, startSolana } from '../support/solana.ts';
import { openShop } from '../support/solana-payments.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const COST = 20 * 250 + 5 * 2_000;
const isPossible = anvilBinary() !== null && (await hasSolana());

describe.skipIf(!isPossible)('stock @x402/fetch with no key and no balance', () => {
  let chain: Anvil;
  let cluster: SolanaCluster;
  let upstream: TestUpstream;
  let app: TestApp;

  beforeAll(async () => {
    chain = await startAnvil();
    await chain.fund(GAS_ADDRESS, 10n ** 20n);
    cluster = await startSolana();
    const shop = await openShop(cluster);
    upstream = await startUpstream();
    app = await startApp({
      change: (config) => {
        config.mode = 'live';
        const base = evmNetwork({ kind: 'embedded', gasKey: GAS_KEY }, chain.url);
        config.payments.networks = [base, shop.config];
        for (const channel of config.channels) channel.baseUrl = upstream.url;
      },
    });
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await upstream.close();
    await cluster.stop();
    await chain.stop();
  });

  const request = () => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chatBody()),
  });

  it('pays for a chat on Base and gets its answer; what is left stays as balance', async () => {
    const wallet = newWallet();
    await chain.mint(wallet.address, 1_000_000n);
    const paidFetch = wrapFetchWithPaymentFromConfig(fetch, {
      schemes: [{ network: 'eip155:8453', client: new ExactEvmScheme(wallet) }],
    });
    const answer = await paidFetch(`${app.url}/v1/chat/completions`, request());
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ choices: [{ message: { role: 'assistant' } }] });
    expect(decoded(answer.headers.get('payment-response'))).toMatchObject({
      success: true,
      payer: wallet.address.toLowerCase(),
      amount: '50000',
    });
    expect(await chain.balanceOf(wallet.address)).toBe(950_000n);
    const address = wallet.address.toLowerCase();
    expect(await app.balanceOf({ family: 'eip155', address })).toBe(50_000_000 - COST);
    await app.check();
  });

  it('pays for a chat on Solana and gets its answer', async () => {
    const wallet = cluster.wallet(1_000_000n);
    const signer = await createKeyPairSignerFromBytes(wallet.secretKey);
    const paidFetch = wrapFetchWithPaymentFromConfig(fetch, {
      schemes: [
        {
          network: cluster.network as `${string}:${string}`,
          client: new ExactSvmScheme(signer, { rpcUrl: cluster.url }),
        },
      ],
    });
    const answer = await paidFetch(`${app.url}/v1/chat/completions`, request());
    expect(answer.status).toBe(200);
    const address = wallet.publicKey.toBase58();
    expect(await app.balanceOf({ family: 'solana', address })).toBe(50_000_000 - COST);
    await app.check();
  });

  it('gets one credit and one answer for a payment however often it is sent', async () => {
    const wallet = newWallet();
    await chain.mint(wallet.address, 1_000_000n);
    let header = '';
    const paidFetch = wrapFetchWithPaymentFromConfig(
      (input, init) => {
        const sent = new Request(input, init);
        header = sent.headers.get('payment-signature') ?? header;
        return fetch(sent);
      },
      { schemes: [{ network: 'eip155:8453', client: new ExactEvmScheme(wallet) }] },
    );
    expect((await paidFetch(`${app.url}/v1/chat/completions`, request())).status).toBe(200);
    const again = await Promise.all(
      Array.from({ length: 20 }, () =>
        app.post('/v1/chat/completions', chatBody(), { 'payment-signature': header }),
      ),
    );
    for (const { status } of again) expect([200, 402]).not.toContain(status);
    expect(await chain.balanceOf(wallet.address)).toBe(950_000n);
    const address = wallet.address.toLowerCase();
    expect(await app.balanceOf({ family: 'eip155', address })).toBe(50_000_000 - COST);
    await app.check();
  });
});

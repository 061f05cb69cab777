import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VeniceClient } from 'venice-x402-client';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { type Anvil, anvilBinary, startAnvil } from '../support/anvil.ts';
import { MODEL_ID, startApp, type TestApp } from '../support/app.ts';
import { GAS_ADDRESS, GAS_KEY } from '../support/evm-bench.ts';
import { evmNetwork, PAY_TO } from '../support/evm-payment.ts';
import { last, named, opening, response } from '../support/dialects.ts';
import { goodStream, json, startUpstream, type TestUpstream, whole } from '../support/upstream.ts';

/** 20 tokens in at $0.25 a million and 5 out at $2, in nano-dollars. */
const COST = 20 * 250 + 5 * 2_000;
const USD = 1_000_000_000;
const MESSAGES = [{ role: 'user' as const, content: 'Hello?' }];

describe.skipIf(anvilBinary() === null)('venice-x402-client with only apiUrl changed', () => {
  let chain: Anvil;
  let upstream: TestUpstream;
  let app: TestApp;

  beforeAll(async () => {
    chain = await startAnvil();
    await chain.fund(GAS_ADDRESS, 10n ** 20n);
    upstream = await startUpstream((response, request) =>
      (request.body.includes('"stream":true') ? goodStream() : whole())(response, request),
    );
    app = await startApp({
      change: (config) => {
        config.mode = 'live';
        config.payments.networks = [evmNetwork({ kind: 'embedded', gasKey: GAS_KEY }, chain.url)];
        for (const channel of config.channels) channel.baseUrl = upstream.url;
      },
    });
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await upstream.close();
    await chain.stop();
  });

  async function customer(units: bigint, autoTopUp?: { enabled: boolean; amount: number }) {
    const key = generatePrivateKey();
    const { address } = privateKeyToAccount(key);
    await chain.mint(address, units);
    const options = { apiUrl: app.url, ...(autoTopUp && { autoTopUp }) };
    return { client: new VeniceClient(key, options), address: address.toLowerCase() };
  }

  it('pays ten dollars, asks, streams and reads its account, to the nano-dollar', async () => {
    const { client, address } = await customer(10_000_000n);
    const paidBefore = await chain.balanceOf(PAY_TO);
    await client.topUp(10);
    expect((await chain.balanceOf(PAY_TO)) - paidBefore).toBe(10_000_000n);
    expect(await chain.balanceOf(address)).toBe(0n);
    expect(await client.getBalance()).toMatchObject({ balanceUsd: 10, canConsume: true });

    const answer = await client.chat({ model: MODEL_ID, messages: MESSAGES });
    expect(answer.choices[0]?.message.content).toBeTruthy();
    const wallet = { family: 'eip155' as const, address };
    expect(await app.balanceOf(wallet)).toBe(10 * USD - COST);

    let streamed = '';
    for await (const piece of client.chatStream({ model: MODEL_ID, messages: MESSAGES })) {
      streamed += typeof piece === 'string' ? piece : JSON.stringify(piece);
    }
    expect(streamed).not.toBe('');
    expect(await app.balanceOf(wallet)).toBe(10 * USD - 2 * COST);

    const listed = await client.getTransactions();
    const shown = JSON.stringify(listed);
    expect(shown.match(/"CHARGE"/g)).toHaveLength(2);
    expect(shown.match(/"TOP_UP"/g)).toHaveLength(1);
    const accountId = await app.app.store.accounts.walletAccount({ ...wallet, chain: '' });
    const entries = await app.app.store.accounts.entries(accountId, { limit: 10, offset: 0 });
    expect(entries.map(({ kind, amount, debit_account: from }) => [kind, amount, from])).toEqual([
      ['CHARGE', COST, accountId],
      ['CHARGE', COST, accountId],
      ['DEPOSIT', 10 * USD, SYSTEM.clearing('eip155:8453')],
    ]);
    await app.check();
  });

  it('asks for responses, whole and streamed', async () => {
    const { client, address } = await customer(10_000_000n);
    await client.topUp(10);
    upstream.next(json(200, response()), named([...opening(), last('completed')]));
    const asked = { model: MODEL_ID, input: 'Hello?' };
    expect(await client.responses.create(asked)).toMatchObject({ object: 'response' });
    let streamed = '';
    for await (const piece of client.responses.stream(asked)) streamed += String(piece);
    expect(streamed).toBe('Hello there.');
    expect(await app.balanceOf({ family: 'eip155', address })).toBe(10 * USD - 2 * COST);
    await app.check();
  });

  it('tops up by itself once, and is then served', async () => {
    const { client, address } = await customer(50_000_000n, { enabled: true, amount: 10 });
    const answer = await client.chat({ model: MODEL_ID, messages: MESSAGES });
    expect(answer.choices[0]?.message.content).toBeTruthy();
    expect(await chain.balanceOf(address)).toBe(40_000_000n);
    expect(await app.balanceOf({ family: 'eip155', address })).toBe(10 * USD - COST);
    // A funded wallet is never asked again: this client would pay every time.
    for (let round = 0; round < 5; round += 1) {
      await client.chat({ model: MODEL_ID, messages: MESSAGES });
    }
    expect(await chain.balanceOf(address)).toBe(40_000_000n);
    await app.check();
  });

  it('is told in its own words that it cannot pay', async () => {
    const { client } = await customer(0n);
    await expect(client.topUp(10)).rejects.toThrow();
    await expect(client.chat({ model: MODEL_ID, messages: MESSAGES })).rejects.toThrow();
    await app.check();
  });
});

/**
 * Everything that is sold, bought with the clients that people use, from a mock that nobody here wrote and from servers of ours for what
 * it lacks. What each call costs is worked out here, from the settings file and with fractions of its own, to the nano-dollar.
 */
import Anthropic from '@anthropic-ai/sdk';
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { VeniceClient } from 'venice-x402-client';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { type DemoUpstream, startDemoUpstream } from '../../src/demo-upstream.ts';
import { SYSTEM } from '../../src/ledger/ledger.ts';
import { formatUsd, parseUsd } from '../../src/money.ts';
import { startApp, type TestApp } from '../support/app.ts';
import { load } from '../support/config.ts';
import { evmNetwork } from '../support/evm-payment.ts';
import {
  type Clients,
  ONE,
  PICTURE,
  PROMPT,
  SAID,
  SOUND,
  USAGE,
} from '../support/modalities/bought.ts';
import { FRAMEWORKS } from '../support/modalities/frameworks.ts';
import { OPENAI } from '../support/modalities/openai.ts';
import { VENICE } from '../support/modalities/venice.ts';
import { FILE, priceByHand, SOLD } from '../support/price-by-hand.ts';
import { json, startUpstream, type TestUpstream } from '../support/upstream.ts';

const mock = new LLMock({ port: 0, host: '127.0.0.1' });
let demo: DemoUpstream;
let links: TestUpstream;
let app: TestApp;
let clients: Clients;
let keyed: { secret: string; accountId: string };
let wallet: { family: 'eip155'; address: string };

beforeAll(async () => {
  mock.onMessage('hello', { content: SAID, usage: USAGE });
  mock.onImage(PROMPT, { images: [{ b64Json: PICTURE }, { b64Json: PICTURE }] });
  mock.onImage(ONE, { images: [{ b64Json: PICTURE }] });
  mock.onSpeech(/.*/, { audio: SOUND });
  mock.onTranscription({ transcription: { text: 'Hello there.', language: 'en', duration: 7 } });
  await mock.start();
  demo = await startDemoUpstream({ delayMs: 0 });
  links = await startUpstream(json(200, { transcript: 'Hello.', lang: 'en' }));
  const { channels, models } = load(FILE);
  app = await startApp({
    change: (config: Config) => {
      // Venice's client signs in on Base and nowhere else, so play money will not do.
      config.mode = 'live';
      const nobody = { kind: 'remote' as const, url: 'http://127.0.0.1:9', cdp: null };
      config.payments.networks = [evmNetwork(nobody, null)];
      const urls: Record<string, string> = { mock: `${mock.url}/v1`, claude: `${mock.url}/v1` };
      urls['demo'] = urls['studio'] = demo.url;
      urls['links'] = links.url;
      config.channels = channels.map((channel) => ({ ...channel, baseUrl: urls[channel.id]! }));
      config.models = models;
    },
  });
  keyed = await app.key('100');
  const key = generatePrivateKey();
  wallet = { family: 'eip155', address: privateKeyToAccount(key).address.toLowerCase() };
  await app.app.store.ledger.write(async (tx) => {
    const credit = await tx.walletAccount({ ...wallet, chain: '' });
    const grant = { kind: 'GRANT' as const, ref: 'g', debit: SYSTEM.grants, credit };
    await tx.post({ ...grant, amount: parseUsd('100') });
  });
  const baseURL = `${app.url}/v1`;
  const { secret } = keyed;
  const account = { apiKey: secret, maxRetries: 0 };
  clients = {
    openai: new OpenAI({ baseURL, ...account }),
    anthropic: new Anthropic({ baseURL: app.url, ...account }),
    venice: new VeniceClient(key, { apiUrl: app.url }),
    baseURL,
    secret,
    demoUrl: demo.url,
  };
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await demo[Symbol.asyncDispose]();
  await links.close();
  await mock.stop();
});

/** Of both accounts; nothing may be held any more. */
async function left(): Promise<bigint> {
  const { posted, held } = await app.app.store.accounts.balance(keyed.accountId);
  expect(held).toBe(0);
  return BigInt(posted + (await app.balanceOf(wallet)));
}

const table: Record<string, string>[] = [];

it.each([...OPENAI, ...FRAMEWORKS, ...VENICE])(
  '%s costs what the file says',
  async (client, work) => {
    const before = await left();
    const { model, counts, facts = {} } = await work(clients);
    const charge = before - (await left());
    const units = [...Object.entries(counts), ...Object.entries(facts)].map((each) =>
      each.join(' '),
    );
    const price = priceByHand(model, counts, facts);
    table.push({
      client,
      model,
      units: units.join(', '),
      price: `${price} nano`,
      charge: `$${formatUsd(Number(charge) as ReturnType<typeof parseUsd>)}`,
    });
    expect(charge).toBe(price);
    expect(price).toBeGreaterThan(0n);
  },
);

it('sold something of every type, and keeps every invariant', async () => {
  console.table(table);
  expect(new Set(table.map(({ model }) => model)).size).toBe(SOLD.length);
  await app.check();
});

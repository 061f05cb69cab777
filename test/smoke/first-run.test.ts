/** From one run command, one page and three fields to the first paid call, against a chain and an upstream on this machine. */
import { LLMock } from '@copilotkit/aimock';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_CHROMIUM, openWindow, startBrowser } from '../../scripts/screenshots/chromium.ts';
import { firstRun } from '../browser/first-run.ts';
import { firstPaidCall } from '../browser/paid-call.ts';
import { type Anvil, anvilBinary, startAnvil } from '../support/anvil.ts';
import { GAS_ADDRESS, GAS_KEY } from '../support/evm-bench.ts';
import { Place, run, serve, subject } from './subject.ts';

const KEY = 'sk-upstream-key-0123456789';
const PAY_TO = '0x1111111111111111111111111111111111111111';
const COMMANDS = { source: 'npm start', binary: './farebox', image: 'docker run' };
const missing =
  NO_CHROMIUM ?? (anvilBinary() === null ? 'there is no anvil for this machine' : null);
if (missing !== null) console.warn(`Skipped, the first run: ${missing}.`);

describe.skipIf(missing !== null)('the first run', () => {
  const upstream = new LLMock({ port: 0, host: '127.0.0.1' });
  let chain: Anvil;
  let browser: Browser;
  let place: Place;
  beforeAll(async () => {
    upstream.onMessage('hello', { content: 'Hi there, how are you today?' });
    await upstream.start();
    chain = await startAnvil();
    await chain.fund(GAS_ADDRESS, 10n ** 20n);
    browser = await startBrowser();
    place = await Place.make();
  });
  afterAll(async () => {
    await browser.close();
    await chain.stop();
    await upstream.stop();
    await place[Symbol.asyncDispose]();
  });

  it('takes one command, one page and three fields to the first paid call', async () => {
    const begunMs = performance.now();
    await using server = await serve(place, {}, { isNew: true });
    const page = await (await openWindow(browser, { width: 1280, scheme: 'light' })).newPage();
    const done = await firstRun(page, server.claim ?? '', {
      upstream: 'OpenAI',
      upstreamKey: KEY,
      payTo: PAY_TO,
      gasKey: GAS_KEY,
      standIns: { baseUrl: `${upstream.url}/v1`, rpcUrl: chain.url },
    });
    expect(done).toMatchObject({ fields: 3, pages: 1 });
    expect(done.selfTest).toContain('every figure is exact');
    const paid = await firstPaidCall(done.url, chain, 'gpt-5-mini');
    expect(paid.text).toBe('Hi there, how are you today?');
    // A quarter of a dollar and two dollars a million, and 20 % more.
    const { prompt_tokens: input, completion_tokens: output } = paid.usage;
    expect(Number(paid.costUsd) * 1e9).toBeCloseTo((input * 250 + output * 2_000) * 1.2, 3);
    expect(await chain.balanceOf(PAY_TO)).toBe(paid.paidUnits);
    for (const secret of [KEY, GAS_KEY, done.operatorKey]) {
      expect(server.err()).not.toContain(secret);
    }
    const seconds = ((performance.now() - begunMs) / 1_000).toFixed(1);
    console.info(
      `first run, ${subject.kind}: 1 command (${COMMANDS[subject.kind]}), 0 lines of configuration, ${done.pages} page, ` +
        `${done.fields} fields (+ ${done.standIns} for the upstream and the chain of the test), ${done.clicks} clicks; ${seconds} s in all`,
    );
    await server.send('SIGTERM');
    expect(await server.ended).toBe(0);
    const verified = await run(place, ['verify', '--json'], { SANDBOX: '0' });
    expect(verified.json).toMatchObject({ ok: true, openHolds: 0 });
  });
});

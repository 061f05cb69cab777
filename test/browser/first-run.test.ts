/** From nothing to the first paid call: in a real browser, counted and timed. */
import { LLMock } from '@copilotkit/aimock';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_CHROMIUM, openWindow, startBrowser } from '../../scripts/screenshots/chromium.ts';
import { type Anvil, anvilBinary, startAnvil } from '../support/anvil.ts';
import { GAS_ADDRESS, GAS_KEY } from '../support/evm-bench.ts';
import { claimIn, firstRun } from './first-run.ts';
import { axeFaults } from './inspect.ts';
import { firstPaidCall } from './paid-call.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const KEY = 'sk-upstream-key-0123456789';
const PAY_TO = '0x1111111111111111111111111111111111111111';
const START_MS = 20_000;
const missing =
  NO_CHROMIUM ?? (anvilBinary() === null ? 'there is no anvil for this machine' : null);
if (missing !== null) console.warn(`Skipped, the first run in a browser: ${missing}.`);

interface Started {
  claim: string;
  printed(): string;
  end(): Promise<number | null>;
}

/** `npm start` in an empty directory, on a free port; nothing else is said to it. */
async function startFromNothing(dataDir: string): Promise<Started> {
  const env = { PATH: process.env['PATH'], DATA_DIR: dataDir, PORT: '0' };
  const child: ChildProcess = spawn(process.execPath, [MAIN, 'serve'], { env, stdio: 'pipe' });
  let printed = '';
  const keep = (chunk: Buffer) => (printed += chunk.toString());
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const end = () => {
    child.kill('SIGTERM');
    return ended;
  };
  const deadline = Date.now() + START_MS;
  for (;;) {
    const claim = claimIn(printed);
    if (claim !== null && printed.endsWith('\n')) return { claim, printed: () => printed, end };
    if (child.exitCode !== null || Date.now() > deadline) {
      await end();
      throw new Error(`no claim link came: ${printed}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Answers that are wrong are told beside what was typed, which stays; then they are mended. */
async function mistakes(page: Page): Promise<string[]> {
  const address = page.getByLabel('Address on Base', { exact: true });
  await address.fill('0x12');
  await page.getByRole('button', { name: 'Check and save' }).click();
  await page.getByText('Nothing is saved yet').waitFor();
  expect(await page.getByRole('alert').innerText()).toContain('Address on Base');
  expect(await page.getByLabel('Its API key', { exact: true }).inputValue()).toBe(KEY);
  const faults = await axeFaults(page);
  await address.fill(PAY_TO);
  return faults;
}

describe.skipIf(missing !== null)('the first run in a browser', () => {
  const upstream = new LLMock({ port: 0, host: '127.0.0.1' });
  let chain: Anvil;
  let browser: Browser;
  let dataDir: string;
  beforeAll(async () => {
    upstream.onMessage('hello', { content: 'Hi there, how are you today?' });
    await upstream.start();
    chain = await startAnvil();
    await chain.fund(GAS_ADDRESS, 10n ** 20n);
    browser = await startBrowser();
    dataDir = await mkdtemp(join(tmpdir(), 'farebox-browser-'));
  });
  afterAll(async () => {
    await browser.close();
    await chain.stop();
    await upstream.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('takes one command, one page and three fields to the first paid call', async () => {
    const begun = performance.now();
    const server = await startFromNothing(dataDir);
    const started = (performance.now() - begun) / 1_000;
    try {
      const window = await openWindow(browser, { width: 1280, scheme: 'light' });
      const page = await window.newPage();
      const seen: string[] = [];
      const faults: string[] = [];
      const answers = {
        upstream: 'OpenAI',
        upstreamKey: KEY,
        payTo: PAY_TO,
        gasKey: GAS_KEY,
        standIns: { baseUrl: `${upstream.url}/v1`, rpcUrl: chain.url },
      };
      const run = await firstRun(page, server.claim, answers, {
        look: async (_page, at) => {
          seen.push(at);
          faults.push(...(await axeFaults(page)).map((fault) => `${at}: ${fault}`));
          if (at === 'set up') faults.push(...(await mistakes(page)));
        },
      });
      expect(seen).toEqual(['claim', 'key', 'set up', 'saved', 'self-test', 'told']);
      expect(faults).toEqual([]);
      expect(run).toMatchObject({ fields: 3, pages: 1 });
      expect(run.operatorKey).toMatch(/^ak_\w+$/);
      expect(run.saved).toMatch(/^\d+ models are for sale\./);
      expect(run.checks).toEqual([
        expect.stringContaining('upstream openai'),
        expect.stringMatching(/payments on eip155:8453: settles by itself/),
      ]);
      expect(run.selfTest).toContain('every figure is exact');

      const paid = await firstPaidCall(run.url, chain, 'gpt-5-mini');
      expect(paid.text).toBe('Hi there, how are you today?');
      // A quarter of a dollar and two dollars a million, and 20 % more.
      const { prompt_tokens: input, completion_tokens: output } = paid.usage;
      const cost = (input * 250 + output * 2_000) * 1.2;
      expect(Number(paid.costUsd) * 1e9).toBeCloseTo(cost, 3);
      expect(await chain.balanceOf(PAY_TO)).toBe(paid.paidUnits);
      const left = Number(paid.paidUnits) * 1_000 - cost;
      expect(Number(paid.remainingUsd)).toBe(Math.floor(left / 1_000) / 1e6);
      for (const secret of [KEY, GAS_KEY, run.operatorKey]) {
        expect(server.printed()).not.toContain(secret);
      }
      const total = ((performance.now() - begun) / 1_000).toFixed(1);
      console.info(
        `first run: 1 command (npm start), 0 lines of configuration, ${run.pages} page, ${run.fields} fields typed ` +
          `(+ ${run.standIns} for the test's own upstream and chain), ${run.clicks} clicks; started ${started.toFixed(1)} s, ` +
          `set up and self-test ${run.seconds.toFixed(1)} s, paid call ${paid.seconds.toFixed(1)} s, in all ${total} s`,
      );
    } finally {
      expect(await server.end()).toBe(0);
    }
  }, 60_000);
});

it('takes one command to the first paid call in the sandbox', async () => {
  const begun = performance.now();
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'demo', '--', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, faults: [] });
  const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
  console.info(`sandbox: 1 command (npm run demo), 0 lines, 0 fields, ${seconds} s`);
});

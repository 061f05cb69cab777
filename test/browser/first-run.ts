/**
 * The first run as a person does it in a browser, from the link that the server prints to a self-test that ends well. It needs only that link:
 * the server may be a process, a binary or a container. What is typed, clicked and waited for is counted.
 */
import type { Page } from 'playwright-core';

export interface FirstAnswers {
  /** As the page's list says it. */
  upstream: string;
  upstreamKey: string;
  /** On Base. */
  payTo: string;
  gasKey: string;
  /** A world of the test's own instead of the internet; nobody else types them. */
  standIns?: { baseUrl?: string; rpcUrl?: string };
}

export interface FirstRun {
  /** Where the page was reached. */
  url: string;
  operatorKey: string;
  /** Filled in or chosen by hand; what the page proposes is left as it stands. */
  fields: number;
  /** Fields that stand for the internet. */
  standIns: number;
  /** Pages that asked for something. */
  pages: number;
  clicks: number;
  /** What the page found out about each answer before it saved, in its words. */
  checks: string[];
  /** What it said when all was saved. */
  saved: string;
  /** The telling of the self-test. */
  selfTest: string;
  seconds: number;
}

export type Step = 'claim' | 'key' | 'set up' | 'saved' | 'self-test' | 'told';

export interface FirstRunOptions {
  /** Called on each page, when it has been filled in: to look at it, or to take its picture. */
  look?(page: Page, at: Step): Promise<void>;
}

const CLAIM = /https?:\/\/\S+\/admin\/claim\/[\w-]+/;
const READY_MS = 30_000;
/** From an answer to its words on the page. */
const SHOWN_MS = 5_000;
const SELF_TEST_MS = 60_000;
const LOOK_AGAIN_MS = 100;

/** The link in what a server printed; null while it is not there. */
export function claimIn(printed: string): string | null {
  return CLAIM.exec(printed)?.[0] ?? null;
}

/** Throws where the page refuses an answer, with what it said. */
export async function firstRun(
  page: Page,
  claim: string,
  answers: FirstAnswers,
  { look = async () => {} }: FirstRunOptions = {},
): Promise<FirstRun> {
  const begun = performance.now();
  const url = new URL(claim).origin;
  const hand = new Hand(page);
  await page.goto(claim);
  await look(page, 'claim');
  await hand.click('button', 'Claim this server');
  const operatorKey = (await page.locator('main pre').innerText()).trim();
  await look(page, 'key');
  await hand.click('link', 'Set up what is sold and where you are paid');

  await hand.choose('Upstream', answers.upstream);
  await hand.fill('Its API key', answers.upstreamKey);
  await hand.fill('Address on Base', answers.payTo);
  await hand.fill('Gas key, Base', answers.gasKey);
  const standIns = await fillStandIns(page, answers.standIns ?? {});
  await look(page, 'set up');
  await Promise.all([
    page.waitForResponse((answer) => answer.request().method() === 'POST'),
    hand.click('button', 'Check and save'),
  ]);
  const heading = page.getByRole('heading', { level: 1, name: 'Saved' });
  await heading.waitFor({ timeout: SHOWN_MS }).catch(async () => {
    throw new Error(`not saved: ${await page.locator('main').innerText()}`);
  });
  const saved = await page.locator('main p').first().innerText();
  const checks = await page.locator('main li:has(.badge)').allInnerTexts();
  await look(page, 'saved');

  await untilReady(url);
  await hand.click('link', 'Try it out');
  await look(page, 'self-test');
  await hand.click('button', 'Run the self-test');
  await page.locator('main pre').waitFor({ timeout: SELF_TEST_MS });
  const selfTest = await page.locator('main').innerText();
  await look(page, 'told');
  const seconds = (performance.now() - begun) / 1_000;
  const { fields, clicks } = hand;
  return {
    url,
    operatorKey,
    fields,
    standIns,
    pages: 1,
    clicks,
    checks,
    saved,
    selfTest,
    seconds,
  };
}

/** Finds things by the words that stand there, as a person does. */
class Hand {
  readonly #page: Page;
  fields = 0;
  clicks = 0;

  constructor(page: Page) {
    this.#page = page;
  }

  async fill(label: string, text: string): Promise<void> {
    this.fields += 1;
    await this.#page.getByLabel(label, { exact: true }).fill(text);
  }

  /** What is proposed already costs nothing. */
  async choose(label: string, text: string): Promise<void> {
    const list = this.#page.getByLabel(label, { exact: true });
    const proposed = await list.locator('option:checked').innerText();
    if (proposed.trim() === text) return;
    this.fields += 1;
    await list.selectOption({ label: text });
  }

  async click(role: 'button' | 'link', name: string): Promise<void> {
    this.clicks += 1;
    await this.#page.locator('main').getByRole(role, { name }).click();
  }
}

async function fillStandIns(
  page: Page,
  { baseUrl, rpcUrl }: { baseUrl?: string; rpcUrl?: string },
): Promise<number> {
  const places = [
    ['At another address', 'Base URL', baseUrl],
    ['RPC endpoints of your own', 'Base', rpcUrl],
  ] as const;
  let filled = 0;
  for (const [summary, label, value] of places) {
    if (value === undefined) continue;
    const box = page.getByLabel(label, { exact: true });
    if (!(await box.isVisible())) await page.getByText(summary, { exact: true }).click();
    await box.fill(value);
    filled += 1;
  }
  return filled;
}

/** What was saved is taken into use while the person reads that it was. */
async function untilReady(url: string): Promise<void> {
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline) {
    const answer = await fetch(`${url}/ready`).catch(() => null);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  throw new Error(`${url} did not become ready`);
}

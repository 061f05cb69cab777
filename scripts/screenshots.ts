/**
 * Pictures of the pages: a sandbox with some traffic and a server that is set up for the first time, looked at by a real browser.
 *
 *   node scripts/screenshots.ts              those of the documents: docs/images/
 *   node scripts/screenshots.ts --all DIR    every page, at two widths, light and dark
 *
 * CHROMIUM: the browser; /usr/bin/chromium without it. With --all, anything wider than its window is an error.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { type Look, openWindow, startBrowser } from './screenshots/chromium.ts';
import { detailPaths, fileNameOf, OPEN_PATHS, signIn, SITE_PATHS } from './screenshots/pages.ts';
import { type Shop, startEmptyShop, startShop } from './screenshots/shop.ts';

const [flag, directory] = process.argv.slice(2);
const MOST_LOOKS = 60;
const problems: string[] = [];
const dataDir = await mkdtemp(join(tmpdir(), 'farebox-pictures-'));
await using opened = new AsyncDisposableStack();
opened.defer(() => rm(dataDir, { recursive: true, force: true }));
const browser = await startBrowser();
opened.defer(() => browser.close());
const shop = await startShop(join(dataDir, 'full'));
opened.defer(() => shop.close());
const empty = await startEmptyShop(join(dataDir, 'empty'));
opened.defer(() => empty.close());

if (flag === '--all' && directory !== undefined) await all(directory);
else await some('docs/images');
for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;

/** Of the documents. */
async function some(to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const wide = { width: 1280, scheme: 'light' } as const;
  const phone = { width: 390, scheme: 'dark' } as const;
  const file = (name: string) => join(to, `${name}.png`);
  const page = await enter(shop, wide);
  await fundsRead(page);
  await page.screenshot({ path: file('overview'), fullPage: true });
  await page.setViewportSize({ width: wide.width, height: 560 });
  await page.goto(`${shop.url}/admin/payments`);
  await page.screenshot({ path: file('payments') });
  await page.setViewportSize({ width: wide.width, height: 900 });
  await page.goto(shop.url);
  await page.screenshot({ path: file('public') });
  const small = await enter(shop, phone);
  await small.goto(`${shop.url}/admin`);
  await small.screenshot({ path: file('overview-phone') });
  const first = await enter(empty, wide);
  await first.goto(`${empty.url}/admin/setup`);
  await fillSetup(first);
  await first.evaluate('document.activeElement.blur()');
  await first.screenshot({ path: file('first-run'), fullPage: true });
}

/** The overview, once it has looked at what lies on chain. */
async function fundsRead(page: Page): Promise<void> {
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    await page.goto(`${shop.url}/admin`);
    if (!(await page.getByText('not known').count())) return;
    await page.waitForTimeout(1_000);
  }
}

/** As somebody who runs it for the first time would. */
async function fillSetup(page: Page): Promise<void> {
  await page.getByLabel('Its API key', { exact: true }).fill('sk-of-the-upstream-0123456789');
  await page
    .getByLabel('Address on Base', { exact: true })
    .fill('0x2670B922ef37C7Df47158725C0CC407b5382293F');
  await page.getByLabel('Gas key, Base', { exact: true }).fill(`0x${'6a'.repeat(32)}`);
}

async function all(to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const looking = await enter(shop, { width: 1440, scheme: 'light' });
  const paths = [...OPEN_PATHS, ...SITE_PATHS, ...(await detailPaths(looking, shop.url))];
  for (const width of [1440, 390]) {
    for (const scheme of ['light', 'dark'] as const) {
      const look = { width, scheme };
      await pictures(to, shop, paths, look, '');
      await pictures(to, empty, SITE_PATHS, look, 'empty-');
    }
  }
}

async function pictures(
  to: string,
  { url, token }: Shop,
  paths: readonly string[],
  look: Look,
  prefix: string,
): Promise<void> {
  const page = await enter({ url, token }, look);
  for (const [n, path] of paths.entries()) {
    const name = `${prefix}${fileNameOf(path)}-${n}-${look.width}-${look.scheme}.png`;
    await page.goto(url + path);
    const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    if (Number(wide) > 0) problems.push(`${name}: ${String(wide)} px wider than its window`);
    await page.screenshot({ path: join(to, name), fullPage: true });
  }
  await page.context().close();
}

async function enter(at: { url: string; token: string }, look: Look): Promise<Page> {
  const window = await openWindow(browser, look);
  await signIn(window, at);
  const page = await window.newPage();
  page.on('pageerror', (error) => problems.push(`${page.url()}: ${error.message}`));
  page.on('console', (message) => {
    const isExpected = /status of 4\d\d/.test(message.text());
    if (message.type() === 'error' && !isExpected) {
      problems.push(`${page.url()}: ${message.text()}`);
    }
  });
  return page;
}

/**
 * Pictures of the operator's site: a sandbox with some traffic, looked at by a real browser.
 *
 *   node scripts/screenshots.ts              docs/images/overview.png
 *   node scripts/screenshots.ts --all DIR    every page, at two widths, light and dark
 *
 * CHROMIUM: the browser; /usr/bin/chromium without it. With --all, anything wider than its window is an error.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startShop } from './screenshots/shop.ts';

const PATHS = [
  '/admin',
  '/admin/accounts',
  '/admin/keys',
  '/admin/models',
  '/admin/channels',
  '/admin/tasks',
  '/admin/payments',
  '/admin/payouts',
  '/admin/webhooks',
  '/admin/usage',
  '/admin/log',
];
/** Lists whose first row has a page of its own. */
const WITH_DETAIL = ['accounts', 'keys', 'tasks', 'payments', 'payouts'];
const WIDTHS = [1440, 390];
const SCHEMES = ['light', 'dark'] as const;
const HEIGHT = 900;

const [flag, directory] = process.argv.slice(2);
const problems: string[] = [];
const dataDir = await mkdtemp(join(tmpdir(), 'farebox-pictures-'));
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
const shop = await startShop(dataDir);
try {
  if (flag === '--all' && directory !== undefined) await all(directory);
  else await one('docs/images');
} finally {
  await browser.close();
  await shop.close();
  await rm(dataDir, { recursive: true, force: true });
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;

async function one(to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const page = await enter(browser, { width: 1280, scheme: 'light' });
  await page.goto(`${shop.url}/admin`);
  await page.screenshot({ path: join(to, 'overview.png') });
}

async function all(to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const width of WIDTHS) {
    for (const scheme of SCHEMES) {
      const page = await enter(browser, { width, scheme });
      for (const path of PATHS) await picture(page, path, join(to, nameOf(path, width, scheme)));
      for (const list of WITH_DETAIL) {
        await page.goto(`${shop.url}/admin/${list}`);
        const first = page.locator(`tbody a[href^="/admin/${list}/"]`).first();
        const path = (await first.count()) ? await first.getAttribute('href') : null;
        if (path !== null)
          await picture(page, path, join(to, nameOf(`/admin/one-${list}`, width, scheme)));
      }
      await page.context().close();
    }
  }
}

function nameOf(path: string, width: number, scheme: string): string {
  return `${path.split('/').at(-1) || 'admin'}-${width}-${scheme}.png`;
}

async function enter(
  from: Browser,
  { width, scheme }: { width: number; scheme: 'light' | 'dark' },
): Promise<Page> {
  const context = await from.newContext({
    viewport: { width, height: HEIGHT },
    colorScheme: scheme,
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => problems.push(`${page.url()}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`${page.url()}: ${message.text()}`);
  });
  await page.goto(`${shop.url}/admin/login`);
  await page.fill('#f-key', shop.operatorKey);
  await page.click('main button');
  await page.waitForURL(`${shop.url}/admin`);
  return page;
}

async function picture(page: Page, path: string, file: string): Promise<void> {
  await page.goto(shop.url + path);
  const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
  if (Number(wide) > 0)
    problems.push(`${path} is ${String(wide)} px wider than its window (${file})`);
  await page.screenshot({ path: file, fullPage: true });
}

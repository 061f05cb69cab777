/** Every page of a shop that sells and of one that does not yet, for whoever reads it however. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_CHROMIUM, openWindow, startBrowser } from '../../scripts/screenshots/chromium.ts';
import { detailPaths, OPEN_PATHS, signIn, SITE_PATHS } from '../../scripts/screenshots/pages.ts';
import { type Shop, startEmptyShop, startShop } from '../../scripts/screenshots/shop.ts';
import { type Faults, faultsOf } from './inspect.ts';

if (NO_CHROMIUM !== null)
  console.warn(`Skipped, what pages are like in a browser: ${NO_CHROMIUM}.`);

describe.skipIf(NO_CHROMIUM !== null)('every page', () => {
  let dataDir: string;
  let browser: Browser;
  let shop: Shop;
  let empty: Shop;
  const found = new Map<string, Faults>();
  const errors: string[] = [];

  async function enter(at: Shop, hasScript = true): Promise<Page> {
    const window = await openWindow(browser, { width: 1440, scheme: 'light', hasScript });
    await signIn(window, at);
    const page = await window.newPage();
    page.on('pageerror', (error) => errors.push(`${page.url()}: ${error.message}`));
    return page;
  }

  async function visit(page: Page, { url }: Shop, paths: readonly string[], mark: string) {
    for (const path of paths) {
      await page.goto(url + path);
      found.set(mark + path, await faultsOf(page));
    }
  }

  const all = (kind: keyof Faults): string[] =>
    [...found].flatMap(([path, faults]) => faults[kind].map((fault) => `${path}: ${fault}`));

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'farebox-access-'));
    browser = await startBrowser();
    shop = await startShop(join(dataDir, 'full'), 2);
    empty = await startEmptyShop(join(dataDir, 'empty'));
    const page = await enter(shop);
    const paths = [...OPEN_PATHS, ...SITE_PATHS, ...(await detailPaths(page, shop.url))];
    await visit(page, shop, paths, '');
    await visit(await enter(empty), empty, ['/', '/reference', ...SITE_PATHS], 'empty ');
  }, 400_000);
  afterAll(async () => {
    await browser.close();
    await shop.close();
    await empty.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('is found faultless by axe, light and dark', () => {
    expect(found.size).toBeGreaterThan(40);
    expect(all('axe')).toEqual([]);
  });

  it('fits a phone and a desk, and cuts nothing off', () => {
    expect(all('wide')).toEqual([]);
  });

  it('is walked through by Tab, in order, with the focus to be seen', () => {
    expect(all('keyboard')).toEqual([]);
  });

  it('would be found out', async () => {
    const page = await (await openWindow(browser, { width: 390, scheme: 'light' })).newPage();
    await page.setContent(`<!doctype html><html><head><title>x</title></head><body>
      <a href="#a">first</a> <a href="#" tabindex="2">early</a> <a href="#b" style="outline: none">faint</a>
      <p style="color: #999; background: #fff">grey</p><input>
      <p style="width: 2000px">wide</p><p style="width: 9px; overflow: hidden; white-space: nowrap">cut text</p>
      <select style="width: 60px"><option>far too long a choice</option></select></body></html>`);
    const { axe, wide, keyboard } = await faultsOf(page);
    const rules = new Set(axe.map((text) => text.split(/[ :]/)[1] ?? ''));
    expect(rules).toEqual(new Set(['color-contrast', 'html-has-lang', 'label', 'select-name']));
    expect(wide.join()).toMatch(
      /too wide.*sticks out: <p> wide.*cut off: <p> cut.*cut off: <select>/,
    );
    expect(keyboard.join()).toMatch(/not to be seen: <a> faint.*out of turn/);
  });

  it('runs its scripts without an error', () => {
    expect(errors).toEqual([]);
  });

  it('is skipped to its content by the first link', async () => {
    for (const [at, path] of [
      [shop, '/admin'],
      [shop, '/'],
    ] as const) {
      const page = await enter(at);
      await page.goto(at.url + path);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.id')).toBe('main');
      expect(await page.locator('.skip').isVisible()).toBe(true);
    }
  });

  it('is read without JavaScript, plots as a link to their figures', async () => {
    const page = await enter(shop, false);
    for (const path of [...OPEN_PATHS, ...SITE_PATHS]) {
      await page.goto(shop.url + path);
      expect([path, await page.locator('main h1').count()]).toEqual([path, 1]);
      expect([path, (await page.locator('main').innerText()).length]).not.toEqual([path, 0]);
    }
    await page.goto(`${shop.url}/admin/usage`);
    expect(await page.locator('noscript, .plot a').first().innerText()).toContain('CSV');
  });

  it('asks before what cannot be undone, and Escape does nothing of it', async () => {
    const page = await enter(shop);
    const { id } = await shop.app.store.keys.create({ type: 'ADMIN', description: 'of a leaver' });
    const asked: string[] = [];
    await page.goto(`${shop.url}/admin/keys/${id}`);
    const state = page.locator('main .badge').first();
    for (const [answer, after] of [
      ['dismiss', 'active'],
      ['accept', 'revoked'],
    ] as const) {
      page.once('dialog', (dialog) => {
        asked.push(dialog.message());
        void dialog[answer]();
      });
      await page.getByText('Revoke', { exact: true }).focus();
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      await page.keyboard.type('left the company');
      await page.keyboard.press('Enter');
      await expect.poll(() => state.innerText()).toBe(after);
      if (after === 'active') await page.reload();
    }
    expect(asked).toEqual(Array(2).fill('Revoke this key and every key below it?'));
  });
});

/** Strings that would run if they were anything but text, and what must be so of every page that shows them. */
import { existsSync } from 'node:fs';
import { chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import type { TestApp } from './app.ts';
import type { Site } from './site.ts';

export const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
export const hasChromium = existsSync(CHROMIUM);

export const BAIT = [
  '<script>window.hit=1</script>',
  '"><img src=x onerror=window.hit=1>',
  "' autofocus onfocus=window.hit=1 x='",
  '<svg/onload=window.hit=1>',
  'javascript:window.hit=1',
  '</textarea><script>window.hit=1</script>',
] as const;
export const HOSTILE = BAIT.join(' ');

/** No element, attribute or script of a page is made of them. */
export function expectText(path: string, text: string): void {
  const tags = text.match(/<[a-z!/][^>]*>/gi) ?? [];
  for (const tag of tags) {
    const names = tag.replaceAll(/"[^"]*"/g, '""');
    expect([path, names]).toEqual([path, expect.not.stringMatching(/\son\w+\s*=|<svg|hit=1/i)]);
    expect([path, tag]).toEqual([
      path,
      expect.not.stringMatching(/(href|src|action)="javascript:/i),
    ]);
  }
  const scripts = tags.filter((tag) => /^<script/i.test(tag));
  const ours = /^<script src="\/admin\/assets\/\w+\.js" defer>$/;
  expect([path, scripts.filter((tag) => !ours.test(tag))]).toEqual([path, []]);
}

/** Opens every page in a real browser, signed in; nothing of them runs. `each`: what else is to be done on a page. */
export async function expectNothingRuns(
  app: TestApp,
  boss: Site,
  paths: readonly string[],
  each: (page: Page) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  try {
    const context = await browser.newContext();
    const [name = '', value = ''] = boss.cookie.split('=');
    await context.addCookies([{ name, value, url: `${app.url}/admin` }]);
    const page = await context.newPage();
    const said: string[] = [];
    page.on('dialog', (dialog) => {
      said.push(dialog.message());
      void dialog.dismiss();
    });
    for (const path of paths) {
      await page.goto(app.url + path);
      await each(page);
      expect([path, await page.evaluate('window.hit ?? null')]).toEqual([path, null]);
      expect(await page.locator('main').count()).toBe(1);
    }
    expect(said).toEqual([]);
  } finally {
    await browser.close();
  }
}

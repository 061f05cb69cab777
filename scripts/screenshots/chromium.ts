/** A real browser: Debian's chromium, or the one that CHROMIUM names. It talks to this machine alone. */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';

export const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** What a test says that is skipped for want of it. */
export const NO_CHROMIUM = existsSync(CHROMIUM)
  ? null
  : `${CHROMIUM} is not there: install chromium, or name one in CHROMIUM`;

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
}

export interface Look {
  width: number;
  scheme: 'light' | 'dark';
  /** True without it. */
  hasScript?: boolean;
}

/** Somebody's window, with a cookie jar of its own. */
export function openWindow(
  browser: Browser,
  { width, scheme, hasScript = true }: Look,
): Promise<BrowserContext> {
  return browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
    javaScriptEnabled: hasScript,
    // Colours that are on their way from one to another are those of neither.
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
}

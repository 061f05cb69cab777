/** What is wrong with a page for somebody who sees little, uses no mouse, or holds a phone. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const IN_PAGE = readFileSync(new URL('./in-page.js', import.meta.url), 'utf8');
/** WCAG 2.1, levels A and AA; contrast is one of its rules. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
/** What follows the window's width has followed it by then. */
const NEXT_FRAME =
  'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))';
const WIDTHS = [1440, 390];
const HEIGHT = 900;
const MOST_TABS = 600;
const TABS_AT_ONCE = 25;

export interface Faults {
  axe: string[];
  wide: string[];
  keyboard: string[];
}

/** Of the page as it stands, with its folded parts open: at both widths, light and dark, and by keyboard. */
export async function faultsOf(page: Page): Promise<Faults> {
  await page.evaluate(IN_PAGE);
  await page.evaluate(AXE);
  await page.evaluate('look.open()');
  const faults: Faults = { axe: [], wide: [], keyboard: [] };
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: HEIGHT });
    // Axe looks at both schemes, at one width each: what the width changes is not colour.
    await page.emulateMedia({ colorScheme: width === WIDTHS[0] ? 'light' : 'dark' });
    await page.evaluate(NEXT_FRAME);
    const wide = await page.evaluate<string[]>('look.wide()');
    faults.wide.push(...wide.map((text) => `${width} px: ${text}`));
    faults.axe.push(...(await axe(page)));
  }
  const [first = 0] = WIDTHS;
  await page.setViewportSize({ width: first, height: HEIGHT });
  faults.keyboard.push(...(await tabThrough(page)));
  return faults;
}

/** Alone, of the page as it stands. */
export async function axeFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return axe(page);
}

async function axe(page: Page): Promise<string[]> {
  const options = JSON.stringify({ runOnly: { type: 'tag', values: RULES } });
  const { violations } = await page.evaluate<AxeResults>(`axe.run(document, ${options})`);
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, any }) => `${impact} ${id}: ${html.slice(0, 120)} ${any[0]?.message ?? ''}`),
  );
}

async function tabThrough(page: Page): Promise<string[]> {
  const count = await page.evaluate<number>('look.watch()');
  const most = Math.min(MOST_TABS, 4 * count + TABS_AT_ONCE);
  for (let tabs = 0; tabs < most; tabs += TABS_AT_ONCE) {
    for (let n = 0; n < TABS_AT_ONCE; n += 1) await page.keyboard.press('Tab');
    if (await page.evaluate('look.isThrough()')) break;
  }
  return page.evaluate<string[]>('look.astray()');
}

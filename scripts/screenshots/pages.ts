/** Every page that a browser is shown, and how somebody comes to them. */
import type { BrowserContext, Page } from 'playwright-core';

/** Of the operator's menu, and what hangs on it. */
export const SITE_PATHS = [
  '/admin',
  '/admin/accounts',
  '/admin/keys',
  '/admin/models',
  '/admin/channels',
  '/admin/playground',
  '/admin/tasks',
  '/admin/payments',
  '/admin/payouts',
  '/admin/webhooks',
  '/admin/usage',
  '/admin/log',
  '/admin/settings',
  '/admin/setup',
  '/admin/self-test',
] as const;

/** Lists whose rows have pages of their own. */
const WITH_DETAIL = ['accounts', 'keys', 'tasks', 'payments', 'payouts'];

const SOMEBODY = '0x1111111111111111111111111111111111111111';
/** For everybody, signed in or not. */
export const OPEN_PATHS = [
  '/',
  '/reference',
  '/balance',
  `/balance?wallet=${SOMEBODY}`,
  '/balance?wallet=nobody',
  '/admin/login',
  '/admin/claim/used-up',
] as const;

/** Of each list that has rows, the page of the first of every kind that is told apart: they show different forms. */
export async function detailPaths(page: Page, url: string): Promise<string[]> {
  const paths: string[] = [];
  for (const list of WITH_DETAIL) {
    await page.goto(`${url}/admin/${list}`);
    const rows = page.locator(`tbody tr:has(a[href^="/admin/${list}/"])`);
    const kinds = new Set<string>();
    for (const row of await rows.all()) {
      const kind = (await row.locator('.badge, td:nth-child(2)').allInnerTexts()).join();
      if (kinds.has(kind)) continue;
      kinds.add(kind);
      const path = await row.locator(`a[href^="/admin/${list}/"]`).first().getAttribute('href');
      if (path !== null && kinds.size <= 3) paths.push(path);
    }
  }
  return paths;
}

/** The site's cookie, as a sign-in would leave it. */
export async function signIn(
  window: BrowserContext,
  { url, token }: { url: string; token: string },
): Promise<void> {
  await window.addCookies([{ name: 'farebox_admin', value: token, url: `${url}/admin` }]);
}

/** A file's name for a path. */
export function fileNameOf(path: string): string {
  const name = path.replace(/\?.*/, '').split('/').filter(Boolean).join('-');
  return (name || 'home').replaceAll(/(acc|key|task|pay|pout)_\w+/g, 'one');
}

/** The operator's site before other sites: their forms, their frames, their names. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HOUSE_ACCOUNT } from '../../../src/keys/keys.ts';
import { startApp, type TestApp } from '../../support/app.ts';
import { CHROMIUM, hasChromium } from '../../support/hostile.ts';
import { sendRaw } from '../../support/raw-http.ts';
import { type Site, site } from '../../support/site.ts';

const OPEN = /^\/admin\/(login|assets|claim)/;

describe('the site before other sites', () => {
  let app: TestApp;
  let boss: Site;
  let others: Site;
  let changes: number;
  const ways = (method: string) =>
    app.app.pages.filter((page) => page.method === method && !OPEN.test(page.path));
  const audited = async () =>
    (await app.app.store.ledger.read.selectFrom('audit_log').select('seq').execute()).length;
  beforeAll(async () => {
    app = await startApp();
    boss = await site(app);
    others = await site(app);
    changes = await audited();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  it('takes no form of theirs, whichever it is (A-4)', async () => {
    const csrf = /name="csrf" value="([^"]+)"/.exec(await boss.page('/admin'))![1]!;
    const foreign = /name="csrf" value="([^"]+)"/.exec(await others.page('/admin'))![1]!;
    const tries: [fields: Record<string, string>, headers: Record<string, string>][] = [
      [{}, { origin: app.url }],
      [{ csrf: foreign }, { origin: app.url }],
      [{ csrf }, { origin: 'null' }],
      [{ csrf }, { origin: 'https://evil.example' }],
      [{ csrf }, { origin: app.url.replace(/\d+$/, '1') }],
      [{ csrf }, { 'sec-fetch-site': 'same-site' }],
      [{ csrf }, { 'sec-fetch-site': 'cross-site' }],
    ];
    const forms = ways('post');
    expect(forms.length).toBeGreaterThan(15);
    for (const { path } of forms) {
      for (const [fields, headers] of tries) {
        const answer = await fetch(app.url + path.replace(/:\w+/g, 'x'), {
          method: 'POST',
          redirect: 'manual',
          headers: { cookie: boss.cookie, ...headers },
          body: new URLSearchParams({ reason: 'because', ...fields }),
        });
        expect([path, headers, answer.status]).toEqual([path, headers, 403]);
      }
    }
    expect(await audited()).toBe(changes);
  });

  it('changes nothing when one of its forms is asked for as a page (A-4)', async () => {
    const pages = new Set(ways('get').map(({ path }) => path));
    for (const { path } of ways('post').filter((form) => !pages.has(form.path))) {
      const answer = await fetch(app.url + path.replace(/:\w+/g, 'x'), {
        headers: { cookie: boss.cookie },
        redirect: 'manual',
      });
      expect([path, answer.status]).toEqual([
        path,
        expect.toSatisfy((s) => s === 404 || s === 405),
      ]);
    }
    expect(await audited()).toBe(changes);
  });

  it('does not answer to a name that was made to lead here (A-4)', async () => {
    for (const { path } of ways('get')) {
      for (const host of ['evil.example', `evil.example:${app.port}`, '127.0.0.1.evil.example']) {
        const raw =
          `GET ${path.replace(/:\w+/g, 'x')} HTTP/1.1\r\nHost: ${host}\r\n` +
          `Cookie: ${boss.cookie}\r\nConnection: close\r\n\r\n`;
        const { status, body } = await sendRaw(app.port, raw, { untilClosed: true });
        expect([path, host, status]).toEqual([path, host, 403]);
        expect(body).not.toContain('csrf" value="');
      }
    }
  });

  describe.skipIf(!hasChromium)('in a real browser', () => {
    let browser: Browser;
    let evil: Server;
    let evilUrl: string;
    let markup = '';
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
      evil = createServer((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        response.end(markup);
      }).listen(0, '127.0.0.1');
      await once(evil, 'listening');
      evilUrl = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`;
    }, 30_000);
    afterAll(async () => {
      await browser.close();
      evil.close();
    });

    /** Another port of the same machine is the same site: cookies go along. */
    async function signedIn(): Promise<Page> {
      const context = await browser.newContext();
      const [name = '', value = ''] = boss.cookie.split('=');
      await context.addCookies([{ name, value, url: `${app.url}/admin` }]);
      return context.newPage();
    }

    it('is in no frame of theirs (A-5)', async () => {
      markup = `<iframe src="${app.url}/admin"></iframe>`;
      const page = await signedIn();
      await page.goto(evilUrl);
      const [, frame] = page.frames();
      expect(frame).toBeDefined();
      expect(await frame!.content()).not.toContain('Owed to customers');
      await page.goto(`${app.url}/admin`);
      expect(await page.content()).toContain('Owed to customers');
      await page.context().close();
    });

    it('takes no form that a page of theirs sends by itself (A-4)', async () => {
      const path = `${app.url}/admin/accounts`;
      const field = (name: string, value: string) => `<input name="${name}" value="${value}">`;
      markup =
        `<form method="post" action="${path}">${field('label', 'mine')}${field('creditLineUsd', '9')}` +
        `${field('reason', 'because I can')}</form><script>document.forms[0].submit()</script>`;
      const page = await signedIn();
      const answer = page.waitForResponse((response) => response.url() === path);
      await page.goto(evilUrl);
      expect((await answer).status()).toBe(403);
      expect(await audited()).toBe(changes);
      await page.context().close();
    });

    it('keeps no secret where scripts find it (A-5)', async () => {
      const { keys } = app.app.store;
      const made = { type: 'ADMIN', description: '', accountId: HOUSE_ACCOUNT } as const;
      const { secret } = await keys.create(made, { actor: 'test' });
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(`${app.url}/admin/login`);
      await page.locator('input[name="key"]').fill(secret);
      await page.locator('button[type="submit"], form button').first().click();
      await page.waitForURL(`${app.url}/admin`);
      const seen = await page.evaluate(
        '[document.cookie, localStorage.length, sessionStorage.length, document.documentElement.outerHTML]',
      );
      const [cookie, local, session, markupSeen] = seen as [string, number, number, string];
      expect([cookie, local, session]).toEqual(['', 0, 0]);
      expect(markupSeen).not.toContain(secret.slice(3));
      await context.close();
    });
  });
});

/** The playground with a real child process: what a paying agent sees, who sees it, and that nothing of it stays behind. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { costOf } from '../../../scripts/demo/price.ts';
import type { Overrides } from '../../../src/app.ts';
import type { ModelConfig } from '../../../src/config/config.ts';
import { addUsd, formatUsdSix, nanoUsd, parseUsd, subtractUsd } from '../../../src/money.ts';
import { spawner } from '../../../src/playground/spawn.ts';
import { startApp, type TestApp } from '../../support/app.ts';
import { serve } from '../../support/cli.ts';
import { type Site, site } from '../../support/site.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const PATH = '/admin/playground';
/** A start of the child, on a machine that does other things. */
const PATIENCE = { timeout: 45_000, interval: 100 };
const CHAT = { model: 'demo-chat', prompt: 'Hello?', chain: 'evm', stream: 'streamed' };
const IMAGE = { model: 'demo-image', prompt: 'A boat', chain: 'evm', n: '1', size: '512x512' };
const BAIT = [
  '<script>window.hit=1</script>',
  '"><img src=x onerror=window.hit=1>',
  "' autofocus onfocus=window.hit=1 x='",
  '<svg/onload=window.hit=1>',
  '</textarea></pre><script>window.hit=1</script>',
  'data: {"choices":[]}\n\nevent: done\ndata: {}',
].join(' ');

function tools(idleMs?: number): NonNullable<Overrides['site']> {
  const refuse = () => Promise.reject(new Error('not here'));
  const program = { file: process.execPath, own: [MAIN], environment: process.env };
  return {
    environment: {},
    cwd: tmpdir(),
    apply: refuse,
    runSelf: refuse,
    spawnSelf: spawner(program),
    ...(idleMs !== undefined && { playgroundIdleMs: idleMs }),
  };
}

/** Of the server: between two runs some time goes by, or there would be too many in a minute. */
const skew = { ms: 0 };
const clock = { nowMs: () => Date.now() + skew.ms };
const BETWEEN_RUNS_MS = 10_000;

/** Runs something to its end. Answers where, and the page of it. */
async function run(boss: Site, fields: Record<string, string>) {
  skew.ms += BETWEEN_RUNS_MS;
  const { status, to, text } = await boss.send(PATH, fields);
  expect([status, text]).toEqual([303, '']);
  await expect
    .poll(async () => shown(await boss.page(to), 'state'), PATIENCE)
    .toMatch(/done|failed/);
  return { to, page: await boss.page(to) };
}

function shown(page: string, figure: string): string {
  return new RegExp(`data-figure="${figure}"[^>]*>([^<]*)<`).exec(page)?.[1]?.trim() ?? '';
}

function usd(page: string, figure: string) {
  return parseUsd(shown(page, figure).replace('$', ''));
}

/** What axe finds against WCAG 2.1 A and AA, and whatever is wider than a phone. */
async function barriers(page: Page): Promise<string[]> {
  await page.setViewportSize({ width: 390, height: 900 });
  await page.evaluate(axe.source);
  const tags = JSON.stringify(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']);
  const found = await page.evaluate(
    `axe.run({ runOnly: ${tags} }).then(({ violations }) => violations.map(({ id, nodes }) => id + ' ' + nodes[0].html))`,
  );
  const wide = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
  return [...(found as string[]), ...(wide > 0 ? [`${wide} px too wide`] : [])];
}

/** Of a text in a page. */
function plain(page: string): string {
  const named: Record<string, string> = { lt: '<', gt: '>', quot: '"', '#39': "'", amp: '&' };
  return page.replaceAll(/&(lt|gt|quot|#39|amp);/g, (_, name: string) => named[name]!);
}

/** Playgrounds' processes below another one. */
function childrenOf(pid: number): number[] {
  return globSync('/proc/[0-9]*').flatMap((folder) => {
    try {
      const [, state, parent] = /\) (\S) (\d+) /.exec(readFileSync(`${folder}/stat`, 'utf8')) ?? [];
      const command = readFileSync(`${folder}/cmdline`, 'utf8').split('\0');
      const isOne = Number(parent) === pid && state !== 'Z' && command.includes('playground');
      return isOne ? [Number(folder.slice('/proc/'.length))] : [];
    } catch {
      return [];
    }
  });
}

function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Of the children that run, and of those that left something. */
function directories(): string[] {
  return globSync(join(tmpdir(), 'farebox-playground-*'));
}

describe('the playground', () => {
  let app: TestApp;
  let boss: Site;
  let chat: ModelConfig;
  beforeAll(async () => {
    app = await startApp({
      clock,
      site: tools(),
      change: (config) => {
        chat = config.models.find(({ id }) => id === CHAT.model)!;
        const upstream = { markup: '1.2', maxUsd: '0.01' };
        const told = { ...chat.price, upstream } as typeof chat.price;
        config.models.push(
          { ...chat, id: 'as-told', price: { ...told, rules: [] } } as ModelConfig,
          { ...chat, id: 'as-told-or-listed', price: told } as ModelConfig,
        );
        chat.price = {
          ...chat.price,
          rules: [
            { unit: 'input_token', per: 1_000, usd: '0.013' },
            { unit: 'output_token', per: 1_000, usd: '0.37' },
          ],
        } as typeof chat.price;
      },
    });
    boss = await site(app);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  it('offers every model, with what may be asked of it', async () => {
    expect(await boss.page(PATH)).toContain('Most tokens out');
    const page = await boss.page(`${PATH}?model=demo-video`);
    expect(page).toContain('value="demo-music"');
    for (const name of ['prompt', 'resolution', 'duration'])
      expect(page).toContain(`name="${name}"`);
  });

  it.each(['streamed', 'whole'])(
    'shows a chat, %s, from the 402 to a cost that is the operator’s price of its usage',
    async (stream) => {
      const { page } = await run(boss, { ...CHAT, stream });
      const text = plain(page);
      expect(shown(page, 'state')).toBe('done');
      expect(shown(page, 'text')).toContain('You said: Hello?');
      for (const said of ['402', 'payment-required', 'X-PAYMENT', 'payment-response'])
        expect(text).toContain(said);
      const [, input] = /"prompt_tokens": ?(\d+)/.exec(text)!;
      const [, output] = /"completion_tokens": ?(\d+)/.exec(text)!;
      const usage = { prompt_tokens: Number(input), completion_tokens: Number(output) };
      expect(usd(page, 'cost')).toBe(costOf(chat, usage));
      expect(usd(page, 'cost')).toBeLessThanOrEqual(usd(page, 'most'));
      const paid = addUsd(nanoUsd(usd(page, 'before')), usd(page, 'asked'));
      const left = formatUsdSix(subtractUsd(paid, usd(page, 'cost')));
      expect(shown(page, 'after')).toBe(`$${left}`);
    },
    60_000,
  );

  it('pays on Solana, from a wallet of its own', async () => {
    const { page } = await run(boss, { ...CHAT, chain: 'solana' });
    expect(shown(page, 'state')).toBe('done');
    expect(shown(page, 'network')).toContain('Solana');
    expect(shown(page, 'before')).toBe('$0.000000');
  }, 60_000);

  it('shows a picture that was made, and to no other session', async () => {
    const { to, page } = await run(boss, IMAGE);
    expect([shown(page, 'state'), shown(page, 'cost')]).toEqual(['done', '$0.01']);
    const [, url] = /<img src="([^"]+)"/.exec(page)!;
    const picture = await fetch(app.url + url!, { headers: { cookie: boss.cookie } });
    const bytes = Buffer.from(await picture.arrayBuffer());
    expect(bytes.subarray(1, 4).toString()).toBe('PNG');
    expect(picture.headers.get('content-type')).toBe('image/png');
    expect(picture.headers.get('x-content-type-options')).toBe('nosniff');
    expect(picture.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
    const part = await fetch(app.url + url!, {
      headers: { cookie: boss.cookie, range: 'bytes=1-3' },
    });
    expect([part.status, await part.text()]).toEqual([206, 'PNG']);

    const other = await site(app);
    for (const path of [to, `${to}/live`, url!]) {
      const answer = await fetch(app.url + path, { headers: { cookie: other.cookie } });
      expect([path, answer.status]).toEqual([path, 404]);
      const nobody = await fetch(app.url + path, { redirect: 'manual' });
      expect([path, nobody.status]).toEqual([path, 303]);
    }
    expect(await other.page(PATH)).toContain('None yet.');
    expect(await boss.page(PATH)).toContain(to);
  }, 60_000);

  it.each([
    ['demo-voice', '<audio src='],
    ['demo-upscale', '<img src='],
    ['demo-cut-out', '<img src='],
    ['demo-edit', '<img src='],
    ['demo-music', '<audio src='],
    ['demo-video', '<video src='],
    ['demo-ears', '3 seconds to hear'],
    ['demo-embed', '8 numbers'],
  ])(
    'tries out %s',
    async (model, seen) => {
      const more: Record<string, string> =
        model === 'demo-video'
          ? { duration: '2', resolution: '480p' }
          : model === 'demo-upscale'
            ? { scale: '2x' }
            : { voice: 'alloy' };
      // Their forms have none, and their bodies take none.
      const prompt = /upscale|cut-out/.test(model) ? {} : { prompt: 'A boat' };
      const { page } = await run(boss, { model, chain: 'evm', ...prompt, ...more });
      expect([shown(page, 'state'), page]).toEqual(['done', expect.stringContaining(seen)]);
    },
    60_000,
  );

  it('does not make up what a model costs that its upstream alone prices', async () => {
    expect(await boss.page(`${PATH}?model=as-told`)).toContain('costs what its upstream says');
    const { status, text } = await boss.send(PATH, { ...CHAT, model: 'as-told' });
    expect([status, text]).toEqual([400, expect.stringContaining('no price of its own')]);
    const listed = await boss.page(`${PATH}?model=as-told-or-listed`);
    expect(listed).toContain('Customers pay what its upstream says');
    const { page } = await run(boss, { ...CHAT, model: 'as-told-or-listed' });
    expect(shown(page, 'state')).toBe('done');
  });

  it('shows why a model that is not for sale is refused, and that nothing was paid', async () => {
    const { page } = await run(boss, { ...CHAT, model: 'no-such-model' });
    expect(shown(page, 'state')).toBe('failed');
    expect(plain(page)).toContain('The model "no-such-model" is not for sale here.');
    expect(shown(page, 'after')).toBe(shown(page, 'before'));
    expect(shown(page, 'cost')).toBe('–');
  }, 60_000);

  it('shows hostile prompts and answers as text (A-3)', async () => {
    const fields = { ...CHAT, prompt: BAIT, extra: JSON.stringify({ user: BAIT }) };
    const { page } = await run(boss, fields);
    expect(shown(page, 'state')).toBe('done');
    // What it said comes back.
    expect(plain(page)).toContain('You said: <script>window.hit=1</script>');
    const { page: refused } = await run(boss, { ...CHAT, model: BAIT.slice(0, 250) });
    for (const text of [page, refused, await boss.page(PATH)]) {
      for (const tag of text.match(/<[a-z!/][^>]*>/gi) ?? []) {
        const names = tag.replaceAll(/"[^"]*"/g, '""');
        expect(names).not.toMatch(/\son\w+\s*=|<svg|hit=1/i);
        if (/^<script/i.test(tag))
          expect(tag).toMatch(/^<script src="\/admin\/assets\/\w+\.js" defer>$/);
      }
    }
  }, 60_000);

  it.skipIf(!existsSync(CHROMIUM))(
    'runs nothing hostile in a real browser while an answer comes (A-3)',
    async () => {
      const browser: Browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox'],
      });
      try {
        const context = await browser.newContext();
        const [name = '', value = ''] = boss.cookie.split('=');
        await context.addCookies([{ name, value, url: `${app.url}/admin` }]);
        const page = await context.newPage();
        const problems: string[] = [];
        page.on('pageerror', (error) => problems.push(error.message));
        page.on('console', (line) => line.type() === 'error' && problems.push(line.text()));
        await page.goto(app.url + PATH);
        await page.fill('#r-prompt', BAIT);
        await page.click('form[method=post] button:text("Run")');
        await page.waitForSelector('.badge.good:text("done")', { timeout: 30_000 });
        expect(await page.textContent('[data-figure=text]')).toContain('onerror=window.hit=1');
        expect(await page.evaluate('window.hit ?? null')).toBe(null);
        expect(problems).toEqual([]);
        // What it came to, with every step open.
        await page.evaluate(
          'document.querySelectorAll("details").forEach((one) => (one.open = true))',
        );
        expect(await barriers(page)).toEqual([]);
        await page.goto(app.url + PATH);
        expect(await barriers(page)).toEqual([]);
      } finally {
        await browser.close();
      }
    },
    60_000,
  );

  it('takes no form of another page, no endless prompt, and no more than three runs at once (A-4)', async () => {
    const foreign = await boss.send(PATH, { ...CHAT, csrf: 'x' });
    expect(foreign.status).toBe(403);
    const long = await boss.send(PATH, { ...CHAT, prompt: 'x'.repeat(8_001) });
    expect([long.status, long.text]).toEqual([400, expect.stringContaining('at most 8000')]);
    const wrong = await boss.send(PATH, { ...CHAT, extra: '[1]' });
    expect([wrong.status, wrong.text]).toEqual([400, expect.stringContaining('JSON object')]);
    const answers = [];
    for (let n = 0; n < 4; n += 1) answers.push(await boss.send(PATH, IMAGE));
    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303, 429]);
    for (const { to } of answers.slice(0, 3))
      await expect.poll(async () => shown(await boss.page(to), 'state'), PATIENCE).toBe('done');
  }, 90_000);

  it('starts no more than twenty runs a minute', async () => {
    skew.ms += 60_000;
    const statuses: number[] = [];
    for (let n = 0; n < 21; n += 1) {
      const { status, to } = await boss.send(PATH, { ...CHAT, stream: 'whole' });
      statuses.push(status);
      if (status !== 303) continue;
      await expect.poll(async () => shown(await boss.page(to), 'state'), PATIENCE).toBe('done');
    }
    expect(statuses).toEqual([...Array.from({ length: 20 }, () => 303), 429]);
    skew.ms += 60_000;
  }, 90_000);

  it('answers nobody but its own agents', async () => {
    const { page } = await run(boss, { ...CHAT, stream: 'whole' });
    const [, url] = /"url": "(http:\/\/127\.0\.0\.1:\d+)\//.exec(plain(page))!;
    expect(url).not.toBe(app.url);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
    await expect(
      fetch(`${url}/admin`, { headers: { 'x-farebox-playground': 'x' } }),
    ).rejects.toThrow();
  }, 60_000);

  it('leaves the shop’s own ledger alone', async () => {
    const rows = await app.app.store.ledger.read.selectFrom('payments').select('id').execute();
    expect(rows).toEqual([]);
    await app.check();
  });
});

describe('the child of the playground', () => {
  it('ends when nobody runs anything, its directory with it, and comes again', async () => {
    await using app = await startApp({ site: tools(300) });
    const boss = await site(app);
    const before = directories();
    const mine = () => childrenOf(process.pid);
    const { to } = await run(boss, { model: 'demo-voice', prompt: 'x', voice: 'a', chain: 'evm' });
    await expect.poll(mine, PATIENCE).toEqual([]);
    await expect.poll(directories, PATIENCE).toEqual(before);
    await expect.poll(() => boss.page(to), PATIENCE).toContain('went with the sandbox');
    const again = await run(boss, CHAT);
    expect(shown(again.page, 'state')).toBe('done');
  }, 120_000);

  it('that is killed takes its runs with it, and another one comes', async () => {
    await using app = await startApp({ site: tools() });
    const boss = await site(app);
    await run(boss, CHAT);
    const before = directories();
    const slow = { ...IMAGE, extra: JSON.stringify({ demo_delay_ms: 60_000 }) };
    const { to } = await boss.send(PATH, slow);
    await expect.poll(async () => shown(await boss.page(to), 'asked'), PATIENCE).not.toBe('–');
    const [child] = childrenOf(process.pid);
    process.kill(child!, 'SIGKILL');
    await expect.poll(async () => shown(await boss.page(to), 'state'), PATIENCE).toBe('failed');
    expect(await boss.page(to)).toContain('The sandbox ended.');
    await expect.poll(() => directories().length, PATIENCE).toBe(before.length - 1);
    expect(shown((await run(boss, CHAT)).page, 'state')).toBe('done');
  }, 90_000);

  it('ends with the server', async () => {
    const before = directories();
    const app = await startApp({ site: tools() });
    const boss = await site(app);
    await boss.send(PATH, CHAT);
    // Also while it starts.
    await expect.poll(() => childrenOf(process.pid).length, PATIENCE).toBe(1);
    await app[Symbol.asyncDispose]();
    expect(childrenOf(process.pid)).toEqual([]);
    expect(directories()).toEqual(before);
  }, 90_000);

  it('notices that its parent was killed, knows none of its secrets, and leaves nothing', async () => {
    const before = directories();
    const dataDir = await mkdtemp(join(tmpdir(), 'farebox-parent-'));
    await using opened = new AsyncDisposableStack();
    opened.defer(() => rm(dataDir, { recursive: true, force: true }));
    const environment = {
      SANDBOX: '1',
      PORT: '0',
      DATA_DIR: dataDir,
      CANARY_API_KEY: 'canary-0123456789',
    };
    await using server = await serve(environment);
    const visitor = await claimed(server.url, server.claim!);
    await visitor(PATH, CHAT);
    const pid = server.child.pid!;
    await expect.poll(() => directories().length, PATIENCE).toBe(before.length + 1);
    await expect.poll(() => childrenOf(pid).length, PATIENCE).toBe(1);
    const [child] = childrenOf(pid);
    const known = readFileSync(`/proc/${child}/environ`, 'utf8');
    expect(known).not.toContain('canary');
    await server.end('SIGKILL');
    await expect.poll(() => isRunning(child!), PATIENCE).toBe(false);
    await expect.poll(directories, PATIENCE).toEqual(before);
  }, 120_000);
});

/** Signed in over the claim link; answers what sends forms. */
async function claimed(url: string, claim: string) {
  const headers = { origin: url, 'sec-fetch-site': 'same-origin' };
  const path = new URL(claim).pathname;
  const entered = await fetch(url + path, { method: 'POST', headers });
  const cookie = (entered.headers.get('set-cookie') ?? '').split(';')[0]!;
  const home = await (await fetch(`${url}/admin`, { headers: { cookie } })).text();
  const csrf = /name="csrf" value="([^"]+)"/.exec(home)?.[1] ?? '';
  return async (to: string, fields: Record<string, string>) => {
    const body = new URLSearchParams({ csrf, ...fields });
    const init = {
      method: 'POST',
      headers: { ...headers, cookie },
      body,
      redirect: 'manual' as const,
    };
    const { status } = await fetch(url + to, init);
    expect(status).toBe(303);
  };
}

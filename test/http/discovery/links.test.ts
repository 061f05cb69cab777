import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DemoUpstream, startDemoUpstream } from '../../../src/demo-upstream.ts';
import { listOf, startApp, type TestApp } from '../../support/app.ts';

const run = promisify(execFile);

let demo: DemoUpstream;
let app: TestApp;
beforeAll(async () => {
  demo = await startDemoUpstream({ delayMs: 0 });
  app = await startApp({ demoUrl: demo.url });
}, 60_000);
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await demo[Symbol.asyncDispose]();
});

const DOCUMENTS = [
  ['/llms.txt', 'text/markdown'],
  ['/auth.md', 'text/markdown'],
  ['/.well-known/x402', 'application/json'],
  ['/.well-known/x402.json', 'application/json'],
  ['/.well-known/api-catalog', 'application/linkset+json'],
  ['/openapi.json', 'application/json'],
] as const;

/** Every address of ours in a text, with the method that stands before it. */
function linksOf(text: string): [method: string, url: string][] {
  const found = text.matchAll(new RegExp(`(?:\\b(POST|GET) )?(${app.url}[^\\s"'\`)<>,]*)`, 'g'));
  return [...found].map(([, method = 'GET', url]) => [method, url!.replace(/[.;:]+$/, '')]);
}

describe('documents for agents', () => {
  it.each(DOCUMENTS)(
    '%s leads nowhere that is not there',
    { timeout: 60_000 },
    async (path, type) => {
      const document = await app.get(path);
      expect(document.status).toBe(200);
      expect(document.headers.get('content-type')).toContain(type);
      expect(document.headers.get('etag')).toMatch(/^"[\w-]{22}"$/);
      const links = linksOf(document.text);
      expect(links.length).toBeGreaterThan(0);
      const resources = new Set<unknown>(
        path.includes('x402') ? listOf(JSON.parse(document.text)['resources']) : [],
      );
      const broken: string[] = [];
      for (const [method, url] of links) {
        // Bases of clients, not pages.
        if (/\/v1$|^[^/]*\/\/[^/]*$/.test(url)) continue;
        const isSold =
          method === 'POST' || resources.has(url) || /top-up$|\/(completions|messages)$/.test(url);
        const answer = await fetch(url, { method: isSold ? 'POST' : 'GET' });
        await answer.arrayBuffer();
        const right = isSold ? [402, 400, 401] : url.includes('{') ? [400] : [200];
        if (!right.includes(answer.status)) broken.push(`${method} ${url} -> ${answer.status}`);
      }
      expect(broken).toEqual([]);
    },
  );

  it('offers only what can be bought: an empty probe of each resource is asked to pay', async () => {
    const { json } = await app.get('/.well-known/x402');
    const urls = listOf(json['resources']) as unknown as string[];
    expect(urls.length).toBeGreaterThan(25);
    const statuses = new Map<string, number>();
    for (const url of urls) statuses.set(url, (await fetch(url, { method: 'POST' })).status);
    expect([...statuses].filter(([, status]) => status !== 402)).toEqual([]);
    expect(listOf(json['networks']).map(({ network }) => network)).toEqual(
      app.app.config.payments.networks.map(({ network }) => network),
    );
  });

  it('names every model that is sold with its price', async () => {
    const { text } = await app.get('/llms.txt');
    const lines = text.split('\n');
    for (const { id, type } of app.app.config.models) {
      const [line] = lines.filter((each) => each.startsWith(`- ${id} (${type}): `));
      expect(line).toMatch(/\$\d/);
    }
    expect(text).toContain(
      '- demo-chat (text): $0.25 per 1,000,000 input tokens; $2 per 1,000,000 output tokens',
    );
  });

  it(
    'has code that works as it stands, for a wallet that never was here',
    { timeout: 120_000 },
    async () => {
      const { text } = await app.get('/llms.txt');
      const blocks = [...text.matchAll(/### ([^\n]+)\n\n```(sh|js)\n([\s\S]*?)\n```/g)];
      expect(blocks.map(([, , language]) => language)).toEqual(['sh', 'sh', 'js', 'js']);
      const { secret } = await app.key('1');
      for (const [, title, language, code] of blocks) {
        const env = { ...process.env, PRIVATE_KEY: generatePrivateKey(), API_KEY: secret };
        const [command, ...args] =
          language === 'sh' ? ['sh', '-c', code!] : ['node', '--input-type=module', '-e', code!];
        const { stdout } = await run(command!, args, { env });
        const right = title!.startsWith('Ask what')
          ? 'x402Version'
          : 'made up by the demo upstream';
        expect(stdout).toContain(right);
      }
      await app.check();
    },
  );
});

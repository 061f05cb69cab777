import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Anvil, anvilBinary, startAnvil } from '../support/anvil.ts';
import { serve } from '../support/cli.ts';
import { GAS_ADDRESS, GAS_KEY } from '../support/evm-bench.ts';
import { evmNetwork, newWallet, paymentHeader, signPayment } from '../support/evm-payment.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const KEY = 'sk-upstream-key-0123456789';
const PAY_TO = '0x1111111111111111111111111111111111111111';

/** A browser's way through the pages, without the browser. */
class Visitor {
  cookie = '';
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const answer = await fetch(new URL(path, this.url), { headers: { cookie: this.cookie } });
    return { status: answer.status, text: await answer.text() };
  }

  async post(
    path: string,
    fields: Record<string, string>,
  ): Promise<{ status: number; text: string }> {
    const answer = await fetch(new URL(path, this.url), {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers: { cookie: this.cookie, origin: this.url, 'sec-fetch-site': 'same-origin' },
      redirect: 'manual',
    });
    this.cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? this.cookie;
    return { status: answer.status, text: await answer.text() };
  }
}

describe.skipIf(anvilBinary() === null)('the first run', () => {
  let chain: Anvil;
  let upstream: TestUpstream;
  let dataDir: string;
  beforeAll(async () => {
    chain = await startAnvil();
    await chain.fund(GAS_ADDRESS, 10n ** 20n);
    upstream = await startUpstream();
    dataDir = await mkdtemp(join(tmpdir(), 'farebox-first-run-'));
  });
  afterAll(async () => {
    await upstream[Symbol.asyncDispose]();
    await chain.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('goes from nothing over a claim link and three answers to a paid call', async () => {
    await using server = await serve({ DATA_DIR: dataDir, PORT: '0' });
    const claim = new URL(server.claim ?? '');
    const url = claim.origin;
    const visitor = new Visitor(url);
    const path = claim.pathname;

    // Set up nothing, sell nothing.
    expect((await visitor.get('/health')).status).toBe(200);
    expect((await visitor.get('/ready')).status).toBe(503);
    const early = await fetch(`${url}/v1/chat/completions`, { method: 'POST', body: '{}' });
    expect([early.status, await early.text()]).toEqual([
      503,
      expect.stringContaining('not_configured'),
    ]);

    expect((await visitor.get(path)).text).toContain('Claim this server');
    expect((await visitor.post(path, {})).text).toMatch(/ak_\w+/);
    const csrf = /name="csrf" value="([^"]+)"/.exec((await visitor.get('/admin/setup')).text)![1]!;
    const answers = {
      csrf,
      upstream: 'OPENAI_API_KEY',
      upstream_key: KEY,
      base_url: upstream.url,
      pay_to_evm: PAY_TO,
      settle: 'embedded',
      gas_key_evm: GAS_KEY,
      rpc_url_base: chain.url,
      markup: '20',
      public_url: url,
    };

    const wrong = await visitor.post('/admin/setup', {
      ...answers,
      pay_to_evm: '0x12',
      markup: 'x',
    });
    expect(wrong.text).toContain('Address on Base');
    expect(wrong.text).toContain('Markup in percent');
    const silent = await visitor.post('/admin/setup', {
      ...answers,
      rpc_url_base: 'http://127.0.0.1:64998',
    });
    expect(silent.text).toContain('the RPC endpoint does not answer');
    await expect(stat(join(dataDir, 'farebox.yaml'))).rejects.toThrow();

    expect((await visitor.post('/admin/setup', answers)).text).toContain('models are for sale');
    const text = await readFile(join(dataDir, 'farebox.yaml'), 'utf8');
    for (const secret of [KEY, GAS_KEY, chain.url]) expect(text).not.toContain(secret);
    expect(text).toContain('${OPENAI_API_KEY}');
    expect((await stat(join(dataDir, 'farebox.yaml'))).mode & 0o077).toBe(0);

    await expect
      .poll(async () => (await fetch(`${url}/ready`).catch(() => null))?.status, {
        timeout: 20_000,
      })
      .toBe(200);
    // Still signed in, to the same server with its new settings.
    expect((await visitor.get('/admin')).status).toBe(200);

    const wallet = newWallet();
    const network = evmNetwork({ kind: 'embedded', gasKey: GAS_KEY }, chain.url);
    await chain.mint(wallet.address, 1_000_000n);
    const seconds = await chain.nowSeconds();
    const payload = await signPayment(wallet, { ...network, payTo: PAY_TO }, 1_000_000n, seconds);
    const body = { model: 'gpt-5-mini', messages: [{ role: 'user', content: 'hello' }] };
    const paid = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'payment-signature': paymentHeader('v2', { ...network, payTo: PAY_TO }, payload),
      },
      body: JSON.stringify(body),
    });
    expect([paid.status, await paid.text()]).toEqual([200, expect.stringContaining('choices')]);
    // 20 and 5 tokens at 0.25 and 2 dollars a million, and 20 % more.
    expect(paid.headers.get('x-request-cost')).toBe('0.000018');
    expect(upstream.requests.at(-1)?.headers['authorization']).toBe(`Bearer ${KEY}`);

    expect(await server.end('SIGTERM')).toBe(0);
    expect(server.err()).not.toContain(KEY);
    // And again, from what it kept.
    await using again = await serve({ DATA_DIR: dataDir, PORT: '0', PUBLIC_URL: url });
    expect((await fetch(`http://127.0.0.1:${again.port}/ready`)).status).toBe(200);
    expect(again.claim).toBeNull();
  });
});

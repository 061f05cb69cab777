import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GAS_ADDRESS, GAS_KEY } from '../support/evm-bench.ts';
import { type Anvil, anvilBinary, startAnvil } from '../support/anvil.ts';
import { run } from '../support/cli.ts';
import { startApp } from '../support/app.ts';

const KEY = 'sk-right-key-of-the-upstream';

interface Found {
  state: string;
  subject: string;
  message: string;
  mend: string | null;
}

describe.skipIf(anvilBinary() === null)('farebox doctor', () => {
  let upstream: Server;
  let chain: Anvil;
  let dataDir: string;
  const answer = { status: 200, models: ['gpt-5', 'gpt-5-mini'], aheadMs: 0 };
  let environment: Record<string, string>;

  beforeAll(async () => {
    chain = await startAnvil();
    upstream = createServer(({ headers }, response) => {
      const isRight = headers.authorization === `Bearer ${KEY}`;
      response.setHeader('date', new Date(Date.now() + answer.aheadMs).toUTCString());
      if (answer.status === 302) response.setHeader('location', 'https://elsewhere.example/');
      response.writeHead(isRight ? answer.status : 401, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ data: answer.models.map((id) => ({ id })) }));
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  });
  beforeEach(async () => {
    await chain.fund(GAS_ADDRESS, 10n ** 20n);
    Object.assign(answer, { status: 200, models: [], aheadMs: 0 });
    dataDir = await mkdtemp(join(tmpdir(), 'farebox-doctor-'));
    environment = {
      DATA_DIR: dataDir,
      OPENAI_API_KEY: KEY,
      OPENAI_BASE_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
      PAY_TO_EVM: '0x1111111111111111111111111111111111111111',
      GAS_KEY_EVM: GAS_KEY,
      RPC_URL_BASE: chain.url,
    };
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));
  afterAll(async () => {
    upstream.close();
    await chain.stop();
  });

  const examine = async (more: Record<string, string> = {}) => {
    const { code, json, out, err } = await run({ ...environment, ...more }, 'doctor', '--json');
    const findings = json['findings'] as unknown as Found[];
    expect(out + err).not.toContain(KEY);
    expect(out + err).not.toContain(GAS_KEY);
    return { code, of: (subject: string) => findings.filter((found) => found.subject === subject) };
  };

  it('finds nothing wrong with a good installation, and changes nothing', async () => {
    const { code, of } = await examine();
    expect(code).toBe(0);
    for (const subject of [
      'upstream openai',
      'payments on eip155:8453',
      'disk',
      'books',
      'clock',
    ]) {
      expect(
        of(subject).map(({ state }) => state),
        subject,
      ).toEqual(['good']);
    }
  });

  it('says that a key is refused, that an address leads elsewhere, that a server is silent', async () => {
    const wrong = await examine({ OPENAI_API_KEY: 'sk-wrong-key-of-the-upstream' });
    expect(wrong.code).toBe(1);
    expect(wrong.of('upstream openai')[0]).toMatchObject({
      state: 'bad',
      message: expect.stringContaining('refuses the key (401)') as string,
      mend: expect.stringContaining('api_key') as string,
    });
    answer.status = 302;
    expect((await examine()).of('upstream openai')[0]?.message).toContain('final address');
    const silent = await examine({ OPENAI_BASE_URL: 'http://127.0.0.1:64999' });
    expect(silent.of('upstream openai')[0]?.message).toContain('does not answer (ECONNREFUSED)');
  });

  it('names models that the upstream does not have', async () => {
    answer.models = ['gpt-5'];
    const { code, of } = await examine();
    expect(code).toBe(0);
    expect(of('upstream openai')[0]).toMatchObject({ state: 'warn' });
    expect(of('upstream openai')[0]?.message).toMatch(/^does not list .+ and \d+ more$/);
    const named = of('upstream openai')[0]?.message.replace(/^does not list (.*) and .*/, '$1');
    const names = named?.split(', ') ?? [];
    expect(new Set(names).size).toBe(names.length);
  });

  it('says that gas is out, that a chain is silent, that it is another chain', async () => {
    await chain.fund(GAS_ADDRESS, 0n);
    const poor = await examine();
    expect(poor.code).toBe(1);
    expect(poor.of('payments on eip155:8453')[0]).toMatchObject({
      state: 'bad',
      mend: 'send it native coin for gas',
    });
    const silent = await examine({ RPC_URL_BASE: 'http://127.0.0.1:64999' });
    expect(silent.of('payments on eip155:8453')[0]?.mend).toContain('rpc_url');
  });

  it('says that the clock is off', async () => {
    answer.aheadMs = 10 * 60_000;
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of('clock')[0]?.message).toMatch(/^(599|600|601) s behind/);
  });

  it('says what others could read', async () => {
    await chmod(dataDir, 0o755);
    const { of } = await examine();
    expect(of('rights')[0]).toMatchObject({ state: 'warn', mend: `chmod 700 ${dataDir}` });
  });

  it('says every fault of the settings', async () => {
    const { code, of } = await examine({ PAY_TO_EVM: '0x12', LOG_LEVEL: 'loud' });
    expect(code).toBe(1);
    expect(of('settings').length).toBeGreaterThanOrEqual(2);
  });

  it('works beside a running server', async () => {
    await using app = await startApp({});
    const { code, json } = await run({ SANDBOX: '1', DATA_DIR: app.dataDir }, 'doctor', '--json');
    expect({ code, ok: json['ok'] }).toEqual({ code: 0, ok: true });
  });
});

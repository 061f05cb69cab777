import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chatBody } from '../support/app.ts';
import { run, type Running, serve } from '../support/cli.ts';
import { DONE, startStream, startUpstream, STOP, type TestUpstream } from '../support/upstream.ts';
import { usageEvent, whole, words, write } from '../support/upstream.ts';

interface Facts {
  minimumTopUpUsd: string;
}

const ROUNDS = 8;
const REQUESTS_EACH = 6;
const STREAMS = 10;

/** What a settings file may look like in between, and what is said of it. */
const BROKEN: [text: string, says: RegExp][] = [
  ['channels: [', /FAREBOX_CONFIG|farebox\.yaml|YAML/],
  ['nonsense: 1\n', /nonsense/],
  // As an editor leaves it for a moment.
  ['', /no channel/],
];

describe('a server whose settings file changes', () => {
  let upstream: TestUpstream;
  let dataDir: string;
  beforeAll(async () => {
    upstream = await startUpstream();
    dataDir = await mkdtemp(join(tmpdir(), 'farebox-reload-'));
  });
  afterAll(async () => {
    await upstream.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const file = () => join(dataDir, 'farebox.yaml');
  const yaml = (usd: string, minimum = '1') => `channels:
  - { id: main, provider: openai, base_url: '${upstream.url}/v1', api_key: sk-test-0123456789 }
models:
  - id: demo-chat
    type: text
    context: 100000
    max_output: 1000
    default_output: 100
    routes: [{ channel: main }]
    price: { rules: [{ unit: input_token, per: 1000000, usd: '${usd}' }, { unit: output_token, per: 1000000, usd: '1' }] }
payments: { minimum_top_up_usd: '${minimum}' }
`;

  async function said(server: Running, event: string, times: number): Promise<void> {
    await expect
      .poll(() => server.err().split(`"${event}"`).length - 1, { timeout: 10_000 })
      .toBeGreaterThanOrEqual(times);
  }

  async function made(environment: Record<string, string>, ...more: string[]): Promise<string> {
    const { json, err } = await run(environment, 'keys', 'create', '--json', ...more);
    expect(err).toBe('');
    return String(json['secret']);
  }

  it('drops nothing on SIGHUP under load, and stays as it is while the file is broken', async () => {
    const environment = { DATA_DIR: dataDir, PORT: '0' };
    await writeFile(file(), yaml('1'));
    await using server = await serve(environment);
    const key = await made(environment);
    const ask = (more: object = {}) =>
      fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(chatBody(more)),
      });
    const released = Promise.withResolvers<void>();
    upstream.usually(async (response, request) => {
      if (request.json['stream'] !== true) {
        await whole()(response, request);
        return;
      }
      startStream(response);
      await released.promise;
      for (const piece of [...words(3), STOP, usageEvent(), DONE]) await write(response, piece);
      response.end();
    });
    const streams = Array.from({ length: STREAMS }, () => ask({ stream: true }));
    const calls: Promise<Response>[] = [];
    let good = 0;
    let bad = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < REQUESTS_EACH; i++) calls.push(ask());
      const [text] = BROKEN[round % BROKEN.length]!;
      const broken = round % 4 === 1 ? yaml('free') : text;
      const isGood = round % 2 === 1;
      await writeFile(file(), isGood ? yaml(String(round + 1)) : broken);
      server.child.kill('SIGHUP');
      if (isGood) await said(server, 'reloaded', (good += 1));
      else await said(server, 'not_reloaded', (bad += 1));
      expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    }
    released.resolve();
    const answers = await Promise.all(calls);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    for (const answer of await Promise.all(streams)) {
      expect(answer.status).toBe(200);
      expect(await answer.text()).toMatch(/data: \[DONE\]\s*$/);
    }
    const verified = await run(environment, 'verify', '--json');
    expect(verified.json).toMatchObject({ ok: true, openHolds: 0 });
    expect(await server.end('SIGTERM')).toBe(0);
  });

  it('reads it again for an operator, lists what is wrong with it, and writes both down', async () => {
    const environment = { DATA_DIR: dataDir, PORT: '0' };
    await writeFile(file(), yaml('1'));
    await using server = await serve(environment);
    const key = await made(environment, '--type', 'admin');
    const origin = { origin: server.url, 'sec-fetch-site': 'same-origin' };
    const send = (path: string, fields: Record<string, string>, cookie = '') =>
      fetch(server.url + path, {
        method: 'POST',
        redirect: 'manual',
        headers: { ...origin, cookie },
        body: new URLSearchParams(fields),
      });
    const entered = await send('/admin/login', { key });
    const cookie = (entered.headers.get('set-cookie') ?? '').split(';')[0]!;
    const page = async (path: string) =>
      (await fetch(server.url + path, { headers: { cookie } })).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(await page('/admin/settings'))![1]!;
    const again = async () => (await send('/admin/settings/reload', { csrf }, cookie)).text();

    expect(await again()).toContain('Nothing changed.');
    await writeFile(file(), yaml('2', '3'));
    const changed = await again();
    expect(changed).toContain('Prices changed: demo-chat');
    expect(changed).toContain('Settings changed: payments');
    for (const [text, says] of [...BROKEN, [yaml('free'), /price/] as const]) {
      await writeFile(file(), text);
      const refused = await again();
      expect(refused).toMatch(/The settings have faults|That did not work/);
      expect(refused).toMatch(says);
    }
    const facts = await fetch(`${server.url}/.well-known/x402`);
    expect(Number(((await facts.json()) as Facts).minimumTopUpUsd)).toBe(3);
    // Not without its form, and not from another page.
    expect((await send('/admin/settings/reload', { csrf: 'x' }, cookie)).status).toBe(403);
    expect((await send('/admin/settings/reload', { csrf })).status).not.toBe(200);

    const log = await fetch(`${server.url}/admin/api/audit`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const { data } = (await log.json()) as { data: { action: string; actor: string }[] };
    const reloads = data.filter(({ action }) => action === 'settings.reload');
    const rows = reloads.filter(({ actor }) => actor !== 'SIGHUP');
    expect(rows).toHaveLength(2);
    for (const { actor } of rows) expect(actor).toMatch(/key_/);
    expect(reloads).toHaveLength(rows.length + ROUNDS / 2);
    expect(JSON.stringify(rows[0])).toContain('Prices changed: demo-chat');
    expect(await server.end('SIGTERM')).toBe(0);
  });
});

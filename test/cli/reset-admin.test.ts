import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, serve } from '../support/cli.ts';

const KEY = /ak_[0-9a-f]{48}/;

describe('keys reset-admin', () => {
  let dataDir: string;
  let environment: Record<string, string>;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'farebox-reset-'));
    environment = { SANDBOX: '1', PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'debug' };
  });
  afterAll(() => rm(dataDir, { recursive: true, force: true }));

  const mayAct = async (url: string, key: string) =>
    (await fetch(`${url}/admin/api/accounts`, { headers: { authorization: `Bearer ${key}` } }))
      .status;

  it('ends every operator key and what came from it, and shows one new key once', async () => {
    const lost = `ak_${randomBytes(30).toString('base64url')}`;
    const first = { ...environment, FAREBOX_ADMIN_KEY: lost };
    let said = '';
    let fresh: string;
    {
      await using server = await serve(first);
      expect(await mayAct(server.url, lost)).toBe(200);
      const child = await fetch(`${server.url}/api/v1/keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${lost}`, 'content-type': 'application/json' },
        body: JSON.stringify({ label: 'second', type: 'ADMIN' }),
      });
      const { key: second } = (await child.json()) as { key: string };
      const reset = await run(environment, 'keys', 'reset-admin');
      expect(reset.code).toBe(0);
      fresh = KEY.exec(reset.out)![0];
      // A running server knows at once.
      expect(await mayAct(server.url, lost)).toBe(401);
      expect(await mayAct(server.url, second)).toBe(401);
      expect(await mayAct(server.url, fresh)).toBe(200);
      const audit = await fetch(`${server.url}/admin/api/audit?action=key.reset`, {
        headers: { authorization: `Bearer ${fresh}` },
      });
      expect(await audit.json()).toMatchObject({
        data: [{ actor: 'cli', detail: { revoked: 2 } }],
      });
      await server.end('SIGTERM');
      said += server.err() + reset.err;
    }
    // The lost key stays lost, also where the environment still names it, and no start says any key.
    await using again = await serve(first);
    expect(await mayAct(again.url, lost)).toBe(401);
    expect(await mayAct(again.url, fresh)).toBe(200);
    await again.end('SIGTERM');
    said += again.err();
    expect(said).toContain('"event":"listening"');
    for (const secret of [lost, fresh, lost.slice(3), fresh.slice(3)]) {
      expect(said).not.toContain(secret);
    }
    expect(said).not.toMatch(/[ac]k_[0-9A-Za-z_-]{29}/);
  });

  it('works without a server, answers JSON, and takes nothing else', async () => {
    const reset = await run(environment, 'keys', 'reset-admin', '--json');
    expect(reset.json).toMatchObject({ type: 'ADMIN', secret: expect.stringMatching(KEY) });
    expect(reset.json).not.toHaveProperty('hash');
    const listed = await run(environment, 'keys', 'list', '--json');
    const rows = listed.json as unknown as { type: string; state: string }[];
    expect(rows.filter(({ type, state }) => type === 'ADMIN' && state === 'active')).toHaveLength(
      1,
    );
    expect((await run(environment, 'keys', 'reset-admin', 'now')).code).toBe(2);
    expect((await run(environment, 'keys', '--help')).out).toContain('reset-admin');
  });
});

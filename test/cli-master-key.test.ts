import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, serve } from './support/cli.ts';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'farebox-master-'));
});

afterAll(() => rm(root, { recursive: true, force: true }));

const fresh = () => randomBytes(32).toString('base64');

async function usage(url: string, key: string): Promise<number> {
  const headers = { authorization: `Bearer ${key}` };
  return (await fetch(`${url}/api/v1/provider-keys`, { headers })).status;
}

describe('keys rotate-master', () => {
  it('goes to the running server, which carries on, and to the directory when none runs (O-4)', async () => {
    const old = fresh();
    const next = fresh();
    const plain = { SANDBOX: '1', PORT: '0', DATA_DIR: join(root, 'given') };
    const environment = { ...plain, FAREBOX_MASTER_KEY: old };
    const made = await run(environment, 'keys', 'create', '--type', 'admin', '--json');
    const secret = String(made.json['secret']);
    await using server = await serve(environment);
    const missing = await run(environment, 'keys', 'rotate-master', '--json');
    expect(missing).toMatchObject({ code: 1, json: { error: { code: 'invalid_request' } } });
    expect(missing.json['error']).toMatchObject({
      message: expect.stringContaining('FAREBOX_NEW_MASTER_KEY') as string,
    });
    const both = { ...environment, FAREBOX_NEW_MASTER_KEY: next };
    const rotated = await run(both, 'keys', 'rotate-master', '--json');
    expect(rotated.json).toEqual({ isNew: true, keptIn: 'FAREBOX_MASTER_KEY' });
    expect(await usage(server.url, secret)).toBe(200);
    for (const key of [old, next]) expect(server.err()).not.toContain(key);
    await server.end('SIGTERM');
    const refused = await run(environment, 'keys', 'list');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('reset-master');
    expect(refused.err).not.toContain(old);
    expect((await run(both, 'keys', 'rotate-master')).out).toContain('in use already');
    const listed = await run({ ...plain, FAREBOX_MASTER_KEY: next }, 'keys', 'list');
    expect([listed.code, listed.out]).toEqual([0, expect.stringContaining('ADMIN')]);
  });
});

describe('keys reset-master', () => {
  it('gives up what a lost key hid, when it is told to, and not beside a server', async () => {
    const environment = { SANDBOX: '1', PORT: '0', DATA_DIR: join(root, 'lost') };
    await run(environment, 'keys', 'create');
    await using server = await serve(environment);
    const beside = await run(environment, 'keys', 'reset-master', '--yes');
    expect([beside.code, beside.err]).toEqual([1, expect.stringContaining('in use')]);
    await server.end('SIGTERM');
    const unsaid = await run(environment, 'keys', 'reset-master');
    expect([unsaid.code, unsaid.err]).toEqual([2, expect.stringContaining('--yes')]);
    await writeFile(join(environment.DATA_DIR, 'master.key'), `${fresh()}\n`);
    const reset = await run(environment, 'keys', 'reset-master', '--yes');
    expect([reset.code, reset.out]).toEqual([0, expect.stringContaining('API keys revoked: 1.')]);
    expect((await run(environment, 'verify')).code).toBe(0);
    expect((await readdir(environment.DATA_DIR)).join(' ')).toMatch(/master\.key\.lost-\d+/);
  });
});

import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chatBody } from './support/app.ts';
import { run, serve } from './support/cli.ts';

let root: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'farebox-cli-'));
});

afterAll(() => rm(root, { recursive: true, force: true }));

/** A sandbox of its own, on a free port. */
function sandbox(more: Record<string, string> = {}): Record<string, string> {
  count += 1;
  return { SANDBOX: '1', PORT: '0', DATA_DIR: join(root, `data-${count}`), ...more };
}

async function chat(url: string, key: string, more: object = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(chatBody(more)),
  });
}

describe('the program', () => {
  it('helps with every command, and fails with 2 when it is called wrongly', async () => {
    const commands = [[], ['serve'], ['keys'], ['config']];
    const helps = await Promise.all(commands.map((words) => run({}, ...words, '--help')));
    for (const { code, out } of helps) {
      expect(code).toBe(0);
      expect(out).toContain('farebox');
    }
    const wrong = [
      ['keys', 'make'],
      ['keys', 'list', '--all'],
    ];
    const refused = await Promise.all(wrong.map((words) => run(sandbox(), ...words, '--json')));
    for (const { code, json } of refused) {
      expect(code).toBe(2);
      expect(json).toMatchObject({ error: { code: 'usage' } });
    }
    const said = await run(sandbox(), 'nothing');
    expect([said.code, said.out]).toEqual([2, '']);
    expect(said.err).toContain('nothing');
  });

  it('names every fault of its settings at once, in words or as JSON', async () => {
    const environment = sandbox({ PORT: 'x', LOG_LEVEL: 'loud', PUBLIC_URL: 'ftp://x' });
    for (const words of [['config', 'check'], ['serve']]) {
      const { code, err } = await run(environment, ...words);
      expect([words, code]).toEqual([words, 1]);
      for (const name of ['PORT', 'LOG_LEVEL', 'PUBLIC_URL']) expect(err).toContain(name);
    }
    const { json } = await run(environment, 'keys', 'list', '--json');
    expect(json).toMatchObject({ error: { code: 'config' } });
    const good = await run(sandbox(), 'config', 'check', '--json');
    expect(good).toMatchObject({ code: 0, json: { ok: true } });
  });

  it('says what is missing when there is nothing to verify', async () => {
    const { code, err } = await run(sandbox(), 'verify');
    expect(code).toBe(1);
    expect(err).toContain('holds no ledger yet');
  });
});

describe('keys', () => {
  it('are made, listed and revoked without a server', async () => {
    const environment = sandbox();
    const made = await run(environment, 'keys', 'create', '--description', 'mine', '--json');
    expect(made.code).toBe(0);
    expect(made.json['secret']).toMatch(/^ck_[0-9a-f]{48}$/);
    const id = String(made.json['id']);
    const admin = await run(environment, 'keys', 'create', '--type', 'admin');
    expect(admin.out).toMatch(/^ak_[0-9a-f]{48}\n/);
    expect((await run(environment, 'keys', 'revoke', id)).code).toBe(0);
    const listed = await run(environment, 'keys', 'list');
    expect(listed.out).toMatch(new RegExp(`^${id} +INFERENCE +revoked`, 'm'));
    expect(listed.out).not.toContain(String(made.json['secret']));
    const unknown = await run(environment, 'keys', 'revoke', 'key_none', '--json');
    expect(unknown).toMatchObject({ code: 1, json: { error: { code: 'not_found' } } });
  });

  it('are made in the running server, work at once, and end at once', async () => {
    const environment = sandbox();
    await using server = await serve(environment);
    const made = await run(environment, 'keys', 'create', '--json');
    expect(made.err).toBe('');
    const secret = String(made.json['secret']);
    const answer = await chat(server.url, secret);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-request-cost')).not.toBeNull();
    const verified = await run(environment, 'verify', '--json');
    expect(verified).toMatchObject({ code: 0, json: { ok: true, openHolds: 0 } });
    expect((await run(environment, 'keys', 'revoke', String(made.json['id']))).code).toBe(0);
    expect((await chat(server.url, secret)).status).toBe(401);
    expect(server.err()).not.toContain(secret);
  });

  it('are made after a server was killed and left its socket behind', async () => {
    const environment = sandbox();
    const server = await serve(environment);
    const path = join(environment['DATA_DIR']!, 'farebox.sock');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await server.end('SIGKILL');
    expect((await stat(path)).isSocket()).toBe(true);
    expect((await run(environment, 'keys', 'create', '--json')).code).toBe(0);
    await using again = await serve(environment);
    expect((await fetch(`${again.url}/ready`)).status).toBe(200);
    expect((await run(environment, 'keys', 'list')).out).toContain('key_');
  });

  it('cannot be changed behind the back of a server that has no socket', async () => {
    const deep = join(root, 'd'.repeat(60), 'e'.repeat(60));
    const environment = sandbox({ DATA_DIR: deep });
    await using server = await serve(environment);
    expect(server.err()).toContain('control_socket_off');
    const refused = await run(environment, 'keys', 'create');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('in use');
  });
});

describe('the server', () => {
  it('ends with 0 on SIGTERM, after what is under way', async () => {
    const environment = sandbox();
    await using server = await serve(environment);
    const made = await run(environment, 'keys', 'create', '--json');
    const streaming = await chat(server.url, String(made.json['secret']), { stream: true });
    const ended = server.end('SIGTERM');
    expect(await streaming.text()).toContain('[DONE]');
    expect(await ended).toBe(0);
    const verified = await run(environment, 'verify', '--json');
    expect(verified.json).toMatchObject({ ok: true, openHolds: 0 });
  });

  it('takes a signal that comes twice, as npm sends it, for one', async () => {
    await using server = await serve(sandbox());
    server.child.kill('SIGINT');
    expect(await server.end('SIGINT')).toBe(0);
  });

  it('reads models, prices and channels again on SIGHUP, and keeps the old ones where the new are wrong', async () => {
    const { SANDBOX: _live, ...environment } = sandbox();
    const file = join(environment['DATA_DIR']!, 'farebox.yaml');
    const model = (id: string, usd: string) =>
      `channels: [{ id: main, provider: openai, base_url: 'http://127.0.0.1:9/v1', api_key: sk-test-0123456789 }]\nmodels:\n  - { id: ${id}, type: text, context: 1000, max_output: 100, default_output: 10, routes: [{ channel: main }], price: { rules: [{ unit: input_token, per: 1000000, usd: '${usd}' }, { unit: output_token, per: 1000000, usd: '1' }] } }\n`;
    await mkdir(environment['DATA_DIR']!, { recursive: true });
    await writeFile(file, model('first', '1'));
    await using server = await serve(environment);
    const ids = async () => {
      const list = (await (await fetch(`${server.url}/v1/models`)).json()) as {
        data: { id: string }[];
      };
      return list.data.map(({ id }) => id);
    };
    const said = async (event: string, times: number) => {
      const deadline = Date.now() + 10_000;
      while (server.err().split(`"${event}"`).length <= times && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    expect(await ids()).toContain('first');
    await writeFile(file, model('second', '1'));
    server.child.kill('SIGHUP');
    await said('reloaded', 1);
    expect(await ids()).toContain('second');
    expect(await ids()).not.toContain('first');
    await writeFile(file, model('third', 'free'));
    server.child.kill('SIGHUP');
    await said('not_reloaded', 1);
    expect(await ids()).toContain('second');
    await writeFile(file, `${model('third', '2')}payments: { minimum_top_up_usd: '2' }\n`);
    server.child.kill('SIGHUP');
    await said('reloaded', 2);
    expect(server.err()).toContain('Settings changed: payments');
    expect(server.err()).not.toContain('restart_to_apply');
    expect(await ids()).toContain('third');
    expect(await server.end('SIGTERM')).toBe(0);
  });

  it('is alone on its data directory and on its port', async () => {
    const environment = sandbox();
    await using server = await serve(environment);
    const second = await run(environment, 'serve');
    expect([second.code, second.err]).toEqual([1, expect.stringContaining('in use')]);
    const port = new URL(server.url).port;
    const third = await run(sandbox({ PORT: port }), 'serve', '--json');
    expect(third.code).toBe(1);
    expect(third.out).toContain(`127.0.0.1:${port} is in use: stop what listens there`);
    expect(third.out).toContain('EADDRINUSE');
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
  });

  it('refuses a database of the other mode', async () => {
    const environment = sandbox();
    expect((await run(environment, 'keys', 'create')).code).toBe(0);
    const { code, err } = await run({ ...environment, SANDBOX: '0' }, 'serve');
    expect(code).toBe(1);
    expect(err).toContain('sandbox mode');
  });

  it('answers the socket of its directory with sense, whatever is said there', async () => {
    const environment = sandbox();
    await using server = await serve(environment);
    const path = join(environment['DATA_DIR']!, 'farebox.sock');
    const said = (line: string) =>
      new Promise<string>((resolve) => {
        const socket = connect(path);
        let text = '';
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
        socket.on('error', () => {});
        socket.on('close', () => resolve(text));
        socket.write(line);
      });
    const nonsense = ['nonsense', '{}', 'null', '{"do":"keys.create"}', '{"do":"keys.list"}'];
    for (const line of [...nonsense, '{"do":"keys.list","limit":-1,"offset":0}']) {
      expect(await said(`${line}\n`)).toMatch(/^\{"error":/);
    }
    expect(await said('x'.repeat(20_000))).toBe('');
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    // Somebody who hangs on to the socket does not keep the server from ending.
    const hanging = connect(path);
    await new Promise((resolve) => hanging.once('connect', resolve));
    expect(await server.end('SIGTERM')).toBe(0);
  });

  it('dies at once, and says why, when its ledger was changed', async () => {
    const environment = sandbox();
    const server = await serve(environment);
    await run(environment, 'keys', 'create');
    await server.end('SIGTERM');
    await writeFile(
      join(environment['DATA_DIR']!, 'ledger.head'),
      JSON.stringify({ seq: 999, hash: 'f'.repeat(64) }),
    );
    const { code, err } = await run(environment, 'serve');
    expect(code).toBe(1);
    expect(err).toMatch(/rolled back/);
  });
});

import { spawn, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { newestSeal } from '../../src/ledger/seal.ts';
import { openDatabase } from '../../src/db/open.ts';
import { chatBody } from '../support/app.ts';
import { run, serve } from '../support/cli.ts';

const CHATS = 30;
const LAG_MS = 20_000;

/** The binary of this platform; null where the registry had none. */
function binary(): string | null {
  try {
    const name = `@flydotio/litestream-${process.platform}-${process.arch}/litestream`;
    return fileURLToPath(import.meta.resolve(name));
  } catch {
    return null;
  }
}

const litestream = binary();

it.skipIf(litestream === null)(
  'what Litestream copied from a server that was killed is put in place by restore, whole',
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'farebox-litestream-'));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    const [first, second] = [join(root, 'first'), join(root, 'second')];
    const environment = (dataDir: string) => ({ SANDBOX: '1', PORT: '0', DATA_DIR: dataDir });
    const settings = join(root, 'litestream.yml');
    const database = join(first, 'farebox.db');
    await writeFile(settings, settingsFor(database, join(root, 'replica')));

    await using server = await serve(environment(first));
    const made = await run(environment(first), 'keys', 'create', '--json');
    const key = String(made.json['secret']);
    const copier = spawn(litestream ?? '', ['replicate', '-config', settings], { stdio: 'ignore' });
    onTestFinished(() => void copier.kill('SIGKILL'));
    for (let chat = 0; chat < CHATS; chat++) {
      expect((await chatWith(server.url, key)).status).toBe(200);
    }
    await server.end('SIGKILL');
    const sold = await sealIn(database);
    expect(sold).toBeGreaterThan(0);

    const copy = join(root, 'copy.db');
    const deadline = Date.now() + LAG_MS;
    let seq = -1;
    while (seq < sold && Date.now() < deadline) {
      await rm(copy, { force: true });
      const restored = spawnSync(litestream ?? '', [
        'restore',
        '-config',
        settings,
        '-o',
        copy,
        database,
      ]);
      if (restored.status === 0) seq = await sealIn(copy);
    }
    expect(seq).toBeGreaterThanOrEqual(sold);
    copier.kill('SIGKILL');

    await mkdir(second);
    await copyFile(join(first, 'master.key'), join(second, 'master.key'));
    const put = await run(environment(second), 'restore', copy, '--json');
    expect(put).toMatchObject({ code: 0, json: { hasMasterKey: true, setAside: null } });
    expect((await run(environment(second), 'verify', '--json')).code).toBe(0);
    await using again = await serve(environment(second));
    expect((await chatWith(again.url, key)).status).toBe(200);
  },
);

/** As docs/operators.md has it, but for where it copies to, and a shorter lag. */
function settingsFor(database: string, replica: string): string {
  return `dbs:
  - path: ${database}
    monitor-interval: 100ms
    replicas:
      - type: file
        path: ${replica}
        sync-interval: 100ms
`;
}

async function sealIn(file: string): Promise<number> {
  const database = openDatabase(file, 'read');
  try {
    return (await newestSeal(database.db)).seq;
  } finally {
    await database.close();
  }
}

function chatWith(url: string, key: string): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(chatBody()),
  });
}

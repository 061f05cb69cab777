/** The code that the playground shows is run as it stands. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, createApp } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { melody } from '../../../src/demo/wav.ts';
import { codeFor } from '../../../src/http/page/playground-code.ts';
import { fieldsFor, requestOf } from '../../../src/playground/requests.ts';

const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const MOST_MS = 40_000;
const HOSTILE = `it's '$(touch pwned)' \`touch pwned\` "; touch pwned; \\ \n\${1}`;

describe('the code of the playground', () => {
  let directory: string;
  let app: App;
  let origin: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'farebox-code-'));
    const dataDir = join(directory, 'data');
    await symlink(MODULES, join(directory, 'node_modules'));
    await writeFile(join(directory, 'recording.wav'), melody(2, 1));
    const place = { SANDBOX: '1', PORT: '0', HOST: '127.0.0.1', DATA_DIR: dataDir };
    app = await createApp(loadConfig({ ...place, SANDBOX_DELAY_MS: '50' }, { cwd: directory }));
    origin = `http://127.0.0.1:${await app.listen()}`;
  });
  afterAll(async () => {
    await app.close();
    await rm(directory, { recursive: true, force: true });
  });

  function samplesOf(id: string, changes: Record<string, string> = {}, more: string[] = []) {
    const model = app.config.models.find((each) => each.id === id)!;
    const usual = fieldsFor(model).map(({ name, value }) => [name, value] as const);
    const fields: Record<string, string> = { ...Object.fromEntries(usual), ...changes };
    const wanted = requestOf((name) => ({ model: id, chain: 'evm', ...fields })[name] ?? '', model);
    const networks = [...app.config.payments.networks.map(({ network }) => network), ...more];
    return codeFor(wanted, { origin, networks });
  }

  function codeOf(id: string, title: RegExp, changes?: Record<string, string>): string {
    return samplesOf(id, changes).find((sample) => title.test(sample.title))!.code;
  }

  /** Answers what it said; throws where it fails. */
  function run(file: string, args: string[]): Promise<string> {
    const env = { PATH: process.env['PATH'], PRIVATE_KEY: generatePrivateKey(), API_KEY: 'none' };
    return new Promise((resolve, reject) => {
      execFile(file, args, { cwd: directory, env, timeout: MOST_MS }, (error, out, complaint) => {
        if (error) reject(new Error(`${error.message}\n${complaint}`));
        else resolve(out);
      });
    });
  }

  async function runJs(code: string): Promise<string> {
    await writeFile(join(directory, 'sample.mjs'), code);
    return run(process.execPath, ['sample.mjs']);
  }

  it.skipIf(!existsSync('/usr/bin/curl'))(
    'asks by curl, and nothing in a prompt reaches the shell',
    async () => {
      for (const id of ['demo-chat', 'demo-image', 'demo-ears', 'demo-voice']) {
        const code = codeOf(id, /costs: curl/, id === 'demo-ears' ? {} : { prompt: HOSTILE });
        expect([id, await run('/bin/sh', ['-c', code])]).toEqual([
          id,
          expect.stringContaining('402 Payment Required'),
        ]);
      }
      const keyed = codeOf('demo-chat', /API key/, { prompt: HOSTILE });
      expect(await run('/bin/sh', ['-c', keyed])).toContain('401 Unauthorized');
      expect(existsSync(join(directory, 'pwned'))).toBe(false);
    },
  );

  it.each([
    ['demo-chat', /@x402/, { prompt: HOSTILE }, '[DONE]'],
    ['demo-image', /@x402/, {}, 'gateway.image.task'],
    ['demo-voice', /@x402/, {}, /^0\.\d+ \d{4,}/],
    ['demo-ears', /@x402/, {}, 'seconds to hear'],
    ['demo-chat', /openai/, {}, 'made up by the demo upstream'],
    ['demo-chat', /openai/, { stream: 'whole' }, 'made up by the demo upstream'],
    ['demo-embed', /openai/, {}, /^8\n$/],
    ['demo-voice', /openai/, {}, /^\d{4,}\n$/],
  ])(
    'pays for %s by %s',
    async (id, title, changes, said) => {
      const told = await runJs(codeOf(id, title, changes));
      if (typeof said === 'string') expect(told).toContain(said);
      else expect(told).toMatch(said);
    },
    MOST_MS + 5_000,
  );

  it('offers Venice’s client where it can pay', () => {
    const titles = (more: string[]) => samplesOf('demo-chat', {}, more).map(({ title }) => title);
    expect(titles([]).join()).not.toContain('venice');
    expect(titles(['eip155:8453']).join()).toContain('venice-x402-client');
  });
});

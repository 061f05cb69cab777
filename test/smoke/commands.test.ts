import { execFile } from 'node:child_process';
import { appendFile, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Place, run, subject } from './subject.ts';

const ROOT = new URL('../../', import.meta.url);
const MOST_MIB = 300;

let place: Place;
beforeAll(async () => {
  place = await Place.make();
});
afterAll(() => place[Symbol.asyncDispose]());

describe(`the program, ${subject.kind}`, () => {
  it('says its version and what it can do', async () => {
    const { version } = JSON.parse(await readFile(new URL('package.json', ROOT), 'utf8')) as {
      version: string;
    };
    expect((await run(place, ['version', '--json'])).json).toEqual({ version });
    expect((await run(place, ['--version'])).out).toBe(`farebox ${version}\n`);
    const help = await run(place, ['--help']);
    for (const name of ['serve', 'demo', 'keys', 'backup', 'restore', 'verify', 'doctor']) {
      expect(help.out).toContain(`\n  ${name} `);
    }
    const wrong = await run(place, ['sell']);
    expect([wrong.code, wrong.out]).toEqual([2, '']);
    expect(wrong.err).toContain('There is no command "sell"');
  });

  it('prints its licence and those of others', async () => {
    const { code, out } = await run(place, ['licences']);
    expect(code).toBe(0);
    const heads = ['MIT License', '\nkoa ', '\nsqlite3 ', '\nkysely ', '\nviem '];
    for (const head of heads) expect(out).toContain(head);
  });

  it('plays the demo with every figure exact', async () => {
    const { code, json } = await run(place, ['demo', '--json']);
    expect(json).toMatchObject({ ok: true, faults: [] });
    expect(json['checks']).toBeGreaterThan(20);
    expect(code).toBe(0);
  });
});

describe.runIf(subject.kind === 'image')('the image', () => {
  if (subject.kind !== 'image') return;
  const { root, user, hasHealthcheck } = subject;

  it('is small, holds nothing that is only for building, and its SBOM and licences', async () => {
    const { stdout } = await promisify(execFile)('du', ['-sm', '--exclude=proc', root]);
    const mib = Number.parseInt(stdout, 10);
    console.info(`size of the image: ${mib} MiB`);
    expect(mib).toBeLessThan(MOST_MIB);
    const packages = await readdir(join(root, 'app/node_modules'));
    for (const name of ['typescript', 'vitest', 'playwright-core', 'node-gyp']) {
      expect(packages).not.toContain(name);
    }
    expect(await readdir(join(root, 'usr/local/bin'))).not.toContain('npm');
    await checkSbom(join(root, 'app/sbom.cdx.json'));
    expect((await stat(join(root, 'app/THIRD-PARTY-LICENCES.txt'))).size).toBeGreaterThan(10_000);
  });

  it('runs as a user without rights and is looked after', () => {
    expect(user).toBe('1000:1000');
    expect(hasHealthcheck).toBe(true);
  });
});

describe.runIf(subject.kind === 'binary')('the binary', () => {
  it('puts back what was changed or removed of it on disk', async () => {
    expect((await run(place, ['version'])).code).toBe(0);
    const program = join(place.dataDir, 'program');
    const [id = ''] = await readdir(program);
    const addon = join(program, id, 'node_modules/sqlite3/build/Release/node_sqlite3.node');
    const before = await readFile(addon);
    await appendFile(addon, 'changed');
    await rm(join(program, id, 'start.cjs'));
    expect((await run(place, ['licences'])).code).toBe(0);
    expect(await readFile(addon)).toEqual(before);
  });

  it('has its SBOM beside it', async () => {
    if (subject.kind !== 'binary') return;
    await checkSbom(`${subject.file}.sbom.cdx.json`);
  });
});

/** Names what is in it, and nothing that is only for developing. */
async function checkSbom(file: string): Promise<void> {
  const { bomFormat, components } = JSON.parse(await readFile(file, 'utf8')) as {
    bomFormat: string;
    components: { name: string }[];
  };
  const names = components.map(({ name }) => name);
  expect(bomFormat).toBe('CycloneDX');
  const some = ['node', 'sqlite3', 'koa', 'viem', 'zod', 'undici', 'kysely', '@solana/web3.js'];
  expect(names).toEqual(expect.arrayContaining(some));
  for (const name of ['vitest', 'typescript', 'esbuild']) expect(names).not.toContain(name);
}

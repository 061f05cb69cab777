/**
 * Plants bugs one at a time in a copy of this tree and runs the tests that must notice each. A bug that no test notices, or that
 * can no longer be planted, ends this with 1.
 *
 *   npm run mutants                     all of them, a few minutes
 *   npm run mutants -- --only wrong-day,stale-limit
 *   npm run mutants -- --tests test/ledger/model.test.ts   by these tests alone
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Mutant, MUTANTS } from './mutants/mutants.ts';

const COPIED = [
  'src',
  'test',
  'config',
  'scripts',
  'package.json',
  'tsconfig.json',
  'vitest.config.ts',
];
/** The histories that the model test plays on each: the same ones every time. */
const HISTORIES = {
  LEDGER_MODEL_OPERATIONS: '4000',
  LEDGER_MODEL_SEED: '1',
  LEDGER_MODEL_SHRINK_MS: '0',
  CAPS_ROUNDS: '4',
};
const MOST_MS = 300_000;
const root = new URL('..', import.meta.url).pathname;

interface Result {
  tests: number;
  /** Names of the tests that failed. */
  failed: string[];
  /** Why there is no count of tests, or null. */
  broken: string | null;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, tests: { type: 'string' } },
  });
  const tests = values.tests?.split(',');
  const names = values.only?.split(',') ?? MUTANTS.map(({ name }) => name);
  const unknown = names.filter((name) => !MUTANTS.some((mutant) => mutant.name === name));
  if (unknown.length) throw new Error(`no such mutant: ${unknown.join(', ')}`);
  const mutants = MUTANTS.filter(({ name }) => names.includes(name)).map((mutant) => ({
    ...mutant,
    tests: tests ?? mutant.tests,
  }));
  const tree = await mkdtemp(join(tmpdir(), 'farebox-mutants-'));
  try {
    for (const path of COPIED) await cp(join(root, path), join(tree, path), { recursive: true });
    await symlink(join(root, 'node_modules'), join(tree, 'node_modules'));
    const sound = await runTests(tree, [...new Set(mutants.flatMap((mutant) => mutant.tests))]);
    if (sound.broken !== null || sound.failed.length) {
      const why = sound.broken ?? sound.failed.join('; ');
      throw new Error(`the tests fail without any bug: ${why}`);
    }
    console.log(`${sound.tests} tests pass without a bug`);
    let survivors = 0;
    for (const mutant of mutants) survivors += (await isCaught(tree, mutant)) ? 0 : 1;
    console.log(`${mutants.length - survivors} of ${mutants.length} caught`);
    return survivors ? 1 : 0;
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function isCaught(tree: string, mutant: Mutant): Promise<boolean> {
  const begun = performance.now();
  const file = join(tree, mutant.file);
  const text = await readFile(file, 'utf8');
  const changed = planted(text, mutant);
  if (changed === null) {
    console.log(`STALE    ${mutant.name}: ${mutant.file} reads otherwise by now`);
    return false;
  }
  await writeFile(file, changed);
  try {
    const { failed, broken } = await runTests(tree, mutant.tests);
    const seconds = Math.round((performance.now() - begun) / 1_000);
    const [first] = failed;
    const verdict = broken !== null ? 'BROKEN  ' : first === undefined ? 'SURVIVED' : 'caught  ';
    console.log(`${verdict} ${mutant.name} (${seconds} s): ${broken ?? first ?? mutant.bug}`);
    return broken === null && first !== undefined;
  } finally {
    await writeFile(file, text);
  }
}

function planted(text: string, { edits }: Mutant): string | null {
  let changed = text;
  for (const [from, to] of edits) {
    if (changed.split(from).length !== 2) return null;
    changed = changed.replace(from, () => to);
  }
  return changed;
}

async function runTests(tree: string, tests: string[]): Promise<Result> {
  const report = join(tree, 'report.json');
  await rm(report, { force: true });
  const vitest = join(tree, 'node_modules/vitest/vitest.mjs');
  const options = [
    'run',
    '--bail=1',
    '--maxWorkers=1',
    '--reporter=json',
    `--outputFile=${report}`,
  ];
  const child = spawn(process.execPath, [vitest, ...options, ...tests], {
    cwd: tree,
    env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], ...HISTORIES },
    stdio: 'ignore',
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), MOST_MS);
  await new Promise((resolve) => child.once('exit', resolve));
  clearTimeout(timer);
  return readReport(report);
}

interface Report {
  numTotalTests: number;
  testResults: {
    message: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

/** A file that could not even be loaded has no tests that failed: that notices nothing. */
async function readReport(file: string): Promise<Result> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return { tests: 0, failed: [], broken: 'the tests did not end' };
  const { numTotalTests, testResults } = JSON.parse(text) as Report;
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = results.filter(({ status }) => status === 'failed').map((test) => test.fullName);
  const unread = testResults.find((one) => !one.assertionResults.length && one.message);
  return { tests: numTotalTests, failed, broken: unread && !failed.length ? unread.message : null };
}

process.exitCode = await main();

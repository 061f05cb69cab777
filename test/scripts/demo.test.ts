import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

interface DemoResult {
  ok: boolean;
  checks: number;
  faults: string[];
  figures: Record<string, string>;
}

const run = (...args: string[]) =>
  promisify(execFile)('npm', ['run', '--silent', 'demo', '--', ...args], { timeout: 30_000 });

it('walks through the product, and every figure is exact', async () => {
  const { stdout } = await run('--json');
  const result = JSON.parse(stdout) as DemoResult;
  expect(result.faults).toEqual([]);
  expect(result.ok).toBe(true);
  expect(result.checks).toBe(41);
  // 17 tokens in at $0.25 and 22 out at $2 a million.
  expect(result.figures['jsonChat']).toBe('0.00004825');
  expect(Object.values(result.figures)).toEqual(
    expect.arrayContaining(['4.8999035', '1.99995175']),
  );
});

it('says in words what happens, and that nothing was real money', async () => {
  const { stdout } = await run();
  expect(stdout).toContain('402 Payment Required: $0.05');
  expect(stdout).toContain('bytes of video/mp4 at http://127.0.0.1:');
  expect(stdout).toMatch(/The webhook evt_\w+ came, signed with the agent's own secret\./);
  expect(stdout).toContain('X-Balance-Remaining fell from 5.000000 to 4.999951.');
  expect(stdout).toMatch(/All 41 figures are exact\. Nothing here was real money\.\n$/);
});

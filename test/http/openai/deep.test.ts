import { expect, it } from 'vitest';
import { startApp } from '../../support/app.ts';

it('refuses an estimate of brackets alone, which anybody may ask for', async () => {
  await using app = await startApp();
  const estimate = async (rest: string) => {
    const response = await fetch(`${app.url}/v1/credits/estimate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"model":"demo-chat",${rest}}`,
    });
    const { error } = (await response.json()) as { error?: { code: string } };
    return [response.status, error?.code];
  };
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  const message = '"messages":[{"role":"user","content":"x"}]';
  expect(await estimate(`${message},"extra":${deep(60_000)}`)).toEqual([400, 'invalid_json']);
  expect(await estimate(`"prompt":${deep(60_000)}`)).toEqual([400, 'invalid_json']);
  expect(await estimate(`${message},"extra":${deep(60)}`)).toEqual([200, undefined]);
});

import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { errorsPage } from '../../scripts/docs.ts';

it('has a page of errors that says what the code says: else run npm run docs', async () => {
  const written = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  expect(written).toBe(await errorsPage());
});

/** Writes the pages of docs/ that are made from the code: `npm run docs`. With --check it only says whether they are up to date. */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { FACES } from '../src/http/errors.ts';

const errors = new URL('../docs/errors.md', import.meta.url);

export async function errorsPage(): Promise<string> {
  const rows = Object.values(FACES)
    .map(
      ({ status, v1, venice, meaning }) => `| ${status} | \`${v1}\` | \`${venice}\` | ${meaning} |`,
    )
    .toSorted();
  const page = `# Errors

Made from \`src/http/errors.ts\` by \`npm run docs\`; change it there.

\`/v1\` answers \`{"error":{"message","type":"gateway_error","code"}}\`, \`/api/v1\` and \`/x402\` answer \`{"error":"text","code"}\` (a
top-up says the code in both and the text in \`message\`). A 400 has \`details\`: for a wrong field a tree of \`_errors\` that names it.
429 and 503 carry \`Retry-After\`. Nothing that ends in an error is charged, except a stream that broke after output began.

| status | \`/v1\` code | \`/api/v1\` code | what it means |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
  const options = await resolveConfig(errors);
  return format(page, { ...options, parser: 'markdown' });
}

if (import.meta.main) {
  const page = await errorsPage();
  if (!process.argv.includes('--check')) await writeFile(errors, page);
  else if ((await readFile(errors, 'utf8')) !== page) {
    console.error('docs/errors.md is old: run npm run docs');
    process.exitCode = 1;
  }
}

import { defineConfig } from 'vitest/config';

/** Not part of `npm test`: `npm run smoke -- source|binary|image`. One at a time, because it measures. */
export default defineConfig({
  test: {
    include: ['test/smoke/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});

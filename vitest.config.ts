import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/live/**', 'test/smoke/**'],
    pool: 'forks',
    // Each file has its own server, directory and ports; loading the program anew for each took half of all time.
    isolate: false,
    // One more than the cores of a small machine: tests wait for disks and timers half of the time.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});

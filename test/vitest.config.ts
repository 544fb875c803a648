/** How the tests run: in pairs on stores that they start themselves; afterwards, one after the other, what measures or needs the whole machine. */
import { defineConfig } from 'vitest/config'

const ALONE = [
  'test/bench.test.ts',
  'test/buyers-fuzz.test.ts',
  'test/chaos.test.ts',
  'test/cluster.test.ts',
  'test/edge.test.ts',
  'test/hostile.test.ts',
  'test/publish-load.test.ts',
  'test/start.test.ts',
]

export default defineConfig({
  test: {
    globalSetup: ['test/stores.setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'in pairs',
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: ALONE, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
})

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes, the longest first: started last, one of them would run alone at the end. */
const long = [
  'patcher/interrupted',
  'e2e/nextcloud-life',
  'attacks/attacks',
  'e2e/snap-life',
  'e2e/container-life',
  'e2e/core-life',
  'patcher/doctor-real',
  'patcher/faults-cut',
  'keyserver/crash',
  'patcher/ssh-transport',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = long.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return at === -1 ? long.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // one more than a small machine has cores: many of these tests wait for other programs
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    sequence: { sequencer: LongestFirst },
  },
});

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take longest, in that order: started last, one of them would run alone at the end. */
const long = [
  'e2e/setup-story',
  'e2e/setup-snap',
  'e2e/setup-container',
  'attacks/attacks',
  'e2e/nextcloud-life',
  'patcher/interrupted',
  'e2e/snap-life',
  'e2e/container-life',
  'e2e/core-life',
  'patcher/doctor-real',
  'patcher/faults-cut',
  'patcher/faults',
  'patcher/layouts',
  'patcher/audit-command',
  'model/chain',
  'keyserver/several-servers',
  'patcher/fleet',
  'patcher/container-detect',
  'patcher/ssh-transport',
  'keyserver/commands',
  'php-app/heartbeat-script',
  'keyserver/crash',
  'wireguard/hub-links',
  'wireguard/hub-tunnel-faults',
  'patcher/audit-planted',
  'patcher/watch-command',
  'wireguard/hub-tunnels',
  'patcher/watch-script',
  'patcher/journal-over-ssh',
  'patcher/targets/snap-found',
  'wireguard/hub-backup-faults',
  'patcher/audit-snap',
  'keyserver/on-postgres',
  'patcher/faults-line',
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
    // twice what a small machine has cores: many of these tests wait for other programs
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    sequence: { sequencer: LongestFirst },
  },
});

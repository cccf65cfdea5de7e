import { describe, expect, it } from 'vitest';
import { container } from '../harness/whole-container.ts';
import { playObstacle, playSetup } from './setup-acts.ts';

const thorough = process.env.LATCHKEY_THOROUGH === '1';

describe.skipIf(!thorough || playObstacle(container) !== null)('a container behind a bridge', () => {
  playSetup({
    ...{ kind: container, transport: 'wireguard', kills: [4, 5, 6], all: true },
    before: (story) => {
      it.each(['ssh', 'both'])(
        'refuses a tunnel that it would not see, by %s, before anything is made',
        async (transport) => {
          story().configure({ transport });
          const { exit, stderr } = await story().setup();
          expect(exit, stderr).toBe(3);
          expect(stderr).toContain('has a network of its own and does not see the end of an SSH tunnel');
          expect(story().leftovers()).toEqual([]);
        },
      );
    },
  });
});

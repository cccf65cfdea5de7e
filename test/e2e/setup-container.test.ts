import { describe } from 'vitest';
import { container } from '../harness/whole-container.ts';
import { playObstacle, playSetup } from './setup-acts.ts';

const thorough = process.env.LATCHKEY_THOROUGH === '1';

describe.skipIf(!thorough || playObstacle(container) !== null)('a container behind a bridge', () => {
  playSetup({ kind: container, transport: 'wireguard', kills: [4, 5, 6], all: true });
});

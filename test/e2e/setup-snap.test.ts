import { describe } from 'vitest';
import { snap } from '../harness/whole-snap.ts';
import { playObstacle, playSetup } from './setup-acts.ts';

const thorough = process.env.LATCHKEY_THOROUGH === '1';

describe.skipIf(!thorough || playObstacle(snap) !== null)('a read-only snap', () => {
  playSetup({ kind: snap, transport: 'wireguard', kills: [4, 5, 6], all: true });
});

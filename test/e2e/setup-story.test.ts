import { describe } from 'vitest';
import { lamp } from '../harness/whole-nextcloud.ts';
import { playObstacle, playSetup } from './setup-acts.ts';

const thorough = process.env.LATCHKEY_THOROUGH === '1';
const kills = thorough ? [1, 2, 3, 4, 5, 6, 7] : [];

describe.skipIf(playObstacle(lamp) !== null)('packages of the system', () => {
  playSetup({ kind: lamp, transport: 'wireguard', kills, all: thorough });
  if (thorough) playSetup({ kind: lamp, transport: 'ssh', kills, all: true });
});

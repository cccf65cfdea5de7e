import type { WebPhp } from '../facts.ts';
import type { Transport } from '../transports/transport.ts';
import { parseFpmPools } from './fpm-pool.ts';
import { webPhpOf } from './php-answer.ts';
import { SNAP_PRIVATE_TMP } from './snap-places.ts';
import type { RunPhp } from './target.ts';

/**
 * The PHP that serves the snap. Its FPM reads the same php.ini as the command line, so that is asked, and the pool's own
 * settings are laid over the answer.
 */
export async function readSnapPhp(transport: Transport, mount: string, runPhp: RunPhp): Promise<WebPhp | null> {
  const pool = `${mount}/current/config/php/php-fpm.d/www.conf`;
  const [shown, listed, poolText] = await Promise.all([
    runPhp(['-i']),
    runPhp(['-m']),
    transport.readFile(pool, { max: 262_144 }),
  ]);
  const over = poolText === null ? {} : (parseFpmPools(pool, poolText.toString('utf8'))[0]?.ini ?? {});
  return webPhpOf(transport, { sapi: 'fpm', shown, listed, over, seenAt: (folder) => onMachine(transport, folder) });
}

/** What the snap calls /tmp is a folder of its own; anywhere else the names are the same on both sides. */
async function onMachine(transport: Transport, folder: string): Promise<string | null> {
  if (folder !== '/tmp' && !folder.startsWith('/tmp/')) return folder;
  for (const place of SNAP_PRIVATE_TMP) {
    if ((await transport.stat(place)) !== null) return `${place}${folder.slice('/tmp'.length)}`;
  }
  return null;
}

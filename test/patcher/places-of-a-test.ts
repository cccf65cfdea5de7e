import { afterEach } from 'vitest';
import { hasProgram } from '../harness/programs.ts';
import { WatchedPlace } from './watched-place.ts';

/** What makes the watch's script impossible here; `null` for nothing. */
export function watchObstacle(): string | null {
  const missing = ['flock', 'timeout', 'sha256sum', 'tar'].filter((name) => !hasProgram(name));
  return missing.length === 0 ? null : `${missing.join(', ')} not installed`;
}

/** Makes places for the watch's script; each is taken away behind its test. */
export function placesOfATest(): (shell?: readonly [string, ...string[]], patience?: number) => Promise<WatchedPlace> {
  let places: WatchedPlace[] = [];
  afterEach(() => {
    for (const place of places) place.remove();
    places = [];
  });
  return async (shell = ['sh'], patience = 0) => {
    const place = await WatchedPlace.make(shell, patience);
    places.push(place);
    return place;
  };
}

import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { formatPrefix, parsePrefix } from '../address/prefix.ts';
import { callIp, type Inside } from './link-state.ts';

/** By this the hub knows its own routes among those of others (rtnetlink(7), rtm_protocol); no routing daemon has the number. */
const PROTOCOL = '211';
/** Worse than what the machine has by itself: a network behind a peer never takes the place of one that is at hand. */
const METRIC = '4242';

const routesSchema = z.array(z.object({ dst: z.string() }));

/**
 * Makes the routes of an interface that is up those to these networks, and takes away what the hub made before and is not among them.
 * Routes of others are not touched. Twice in a row changes nothing. Throws `route_refused` after it tried each.
 */
export async function settleRoutes(name: string, networks: readonly string[], inside: Inside = []): Promise<void> {
  const wanted = networks.map((text) => formatPrefix(parsePrefix(text, 'networks')));
  const present = [...(await ownRoutes(name, '-4', inside)), ...(await ownRoutes(name, '-6', inside))];
  const steps = [
    ...present.filter((route) => !wanted.includes(route)).map((route) => ['delete', route] as const),
    ...wanted.filter((route) => !present.includes(route)).map((route) => ['replace', route] as const),
  ];
  const refused: string[] = [];
  for (const [verb, route] of steps) {
    const args = ['route', verb, route, 'dev', name, 'proto', PROTOCOL, 'metric', METRIC];
    if ((await callIp(args, inside)).exit !== 0) refused.push(route);
  }
  if (refused.length === 0) return;
  throw new LatchkeyError('route_refused', `routes of ${name} could not be changed: ${refused.join(', ')}`, {
    status: 503,
    hint: 'it is tried again each minute',
  });
}

/** What the hub made before; a machine without the family has none. */
async function ownRoutes(name: string, family: '-4' | '-6', inside: Inside): Promise<string[]> {
  const { exit, stdout } = await callIp([family, '-json', 'route', 'show', 'dev', name, 'proto', PROTOCOL], inside);
  if (exit !== 0) return [];
  return routesSchema.parse(JSON.parse(stdout)).map(({ dst }) => formatPrefix(parsePrefix(dst, 'networks')));
}

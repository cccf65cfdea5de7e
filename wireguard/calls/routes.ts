import type { Route } from '../../platform/http-app.ts';
import type { Desk } from './desk.ts';
import { peerRoutes } from './peer-routes.ts';
import { statusRoutes } from './status-routes.ts';

/** Every route of the hub's API. */
export function hubRoutes(desk: Desk): readonly Route[] {
  return [...statusRoutes(desk), ...peerRoutes(desk)];
}

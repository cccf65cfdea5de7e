import type { Route } from '../../platform/http-app.ts';
import type { Desk } from './desk.ts';

/** Peers, for people and their programs. */
export function peerRoutes(_desk: Desk): readonly Route[] {
  return [];
}

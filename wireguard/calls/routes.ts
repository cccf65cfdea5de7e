import type { Route } from '../../platform/http-app.ts';
import { auditRoutes } from './audit-routes.ts';
import type { Desk } from './desk.ts';
import { deviceRoutes } from './device-routes.ts';
import { gatewayRoutes } from './gateway-routes.ts';
import { interfaceRoutes } from './hub-routes.ts';
import { initializeRoutes } from './initialize-routes.ts';
import { installationRoutes } from './installation-routes.ts';
import { loginRoutes } from './login-routes.ts';
import { peerRoutes } from './peer-routes.ts';
import { proxmoxRoutes } from './proxmox-routes.ts';
import { registrationRoutes } from './registration-routes.ts';
import { spokeRoutes } from './spoke-routes.ts';
import { statusRoutes } from './status-routes.ts';
import { tokenRoutes } from './token-routes.ts';

/** Every route of the hub's API. */
export function hubRoutes(desk: Desk): readonly Route[] {
  return [
    ...statusRoutes(desk),
    ...loginRoutes(desk),
    ...tokenRoutes(desk),
    ...auditRoutes(desk),
    ...peerRoutes(desk),
    ...interfaceRoutes(desk),
    ...initializeRoutes(desk),
    ...installationRoutes(desk),
    ...registrationRoutes(desk),
    ...spokeRoutes(desk),
    ...proxmoxRoutes(desk),
    ...deviceRoutes(desk),
    ...gatewayRoutes(desk),
  ];
}

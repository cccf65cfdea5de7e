import { createHttpApp, type Route } from '../../platform/http-app.ts';
import { listen } from '../../platform/listening/listen.ts';
import type { ListenAddress } from '../../platform/listening/listen-address.ts';
import type { Log } from '../../platform/log.ts';
import { readLook } from './look-file.ts';
import { type MachineFacts, nodeHealth, nodeStatus } from './node-status.ts';

export interface NodeServerParts {
  readonly listen: ListenAddress;
  readonly lookFile: string;
  readonly machine: () => MachineFacts;
  readonly now: () => number;
  readonly log: Log;
  readonly requestId: () => string;
}

/** Serves `GET /status` and `GET /health`. Nothing is changed by either, and nobody is asked who he is: the address is inside the tunnel. */
export async function startNodeServer(
  parts: NodeServerParts,
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const { lookFile, machine, now, log, requestId } = parts;
  const routes: readonly Route[] = [
    {
      method: 'GET',
      path: '/status',
      bodyLimit: 0,
      handler: () => Promise.resolve({ status: 200, body: nodeStatus(machine(), readLook(lookFile), now()) }),
    },
    {
      method: 'GET',
      path: '/health',
      bodyLimit: 0,
      handler: () => {
        const health = nodeHealth(readLook(lookFile), now());
        return Promise.resolve({ status: health.status === 'ok' ? 200 : 503, body: health });
      },
    },
  ];
  return listen(parts.listen, null, null, createHttpApp({ routes, log, requestId }));
}

import type { Route } from '../../platform/http-app.ts';
import { isWithin } from '../../platform/listening/network.ts';
import { allowed } from '../access/caller.ts';
import type { Desk } from './desk.ts';

/** Whether the hub lives, and what monitoring reads. */
export function statusRoutes(desk: Desk): readonly Route[] {
  const { access, clock, config, hubs, metrics } = desk;
  const metricsAnswer = async () => ({
    status: 200,
    body: await metrics.text(),
    headers: { 'Content-Type': metrics.registry.contentType },
  });
  const guarded = allowed(access, 'metrics:read', metricsAnswer);
  return [
    {
      method: 'GET',
      path: '/api/health',
      bodyLimit: 0,
      handler: async () => {
        const isWhole = [...hubs.values()].every((one) => one.isElsewhere || one.last.live !== null);
        return {
          status: isWhole ? 200 : 503,
          body: {
            status: isWhole ? 'online' : 'degraded',
            server: config.name,
            timestamp: new Date(clock.now()).toISOString(),
          },
        };
      },
    },
    {
      method: 'GET',
      path: '/api/metrics',
      bodyLimit: 0,
      handler: (request) => (isWithin(request.source, config.metrics.from) ? metricsAnswer() : guarded(request)),
    },
  ];
}

import { constantTimeEqual, decodeBase64Url, sha256 } from '../platform/encoding.ts';
import { LatchkeyError } from '../platform/errors.ts';
import type { Route } from '../platform/http-app.ts';
import { isWithin } from '../platform/listening/network.ts';
import type { MetricsAccess } from './config.ts';
import type { Metrics } from './metrics.ts';

/** `GET /metrics`: Prometheus text, for allowed sources or with `Authorization: Bearer TOKEN`. */
export function metricsRoute(metrics: Metrics, access: MetricsAccess): Route {
  return {
    method: 'GET',
    path: '/metrics',
    bodyLimit: 0,
    handler: async ({ source, headers }) => {
      if (!isWithin(source, access.from) && !isToken(headers.authorization, access.tokenHash)) {
        throw new LatchkeyError('unauthorized', 'the credentials were not accepted', { status: 401 });
      }
      return { status: 200, body: await metrics.text(), headers: { 'Content-Type': metrics.registry.contentType } };
    },
  };
}

function isToken(authorization: string | undefined, tokenHash: string | null): boolean {
  const text = /^Bearer ([A-Za-z0-9_-]{43})$/.exec(authorization ?? '')?.[1];
  const token = text === undefined ? null : decodeBase64Url(text, 32);
  return token !== null && tokenHash !== null && constantTimeEqual(sha256(token), Buffer.from(tokenHash, 'hex'));
}

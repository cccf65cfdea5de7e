import type { Route } from '../../platform/http-app.ts';
import { renewCertificate } from '../certificates/renewal.ts';
import type { Custody } from '../custody.ts';
import { answering } from './answer.ts';
import { basicKey } from './basic-key.ts';
import { heartbeat } from './heartbeat.ts';
import { open } from './open.ts';
import { release } from './release.ts';
import { storeKey } from './store-key.ts';

const bodyLimit = 64 * 1024;
const keyBodyLimit = 1024 * 1024;

/** The calls of the wire protocol that an enrolled client makes. */
export function protocolRoutes(custody: Custody): readonly Route[] {
  return [
    { method: 'GET', path: '/key', bodyLimit: 0, handler: answering('key', basicKey, custody) },
    { method: 'PUT', path: '/v1/keys/:id', bodyLimit: keyBodyLimit, handler: answering('store', storeKey, custody) },
    { method: 'POST', path: '/v1/open', bodyLimit, handler: answering('open', open, custody) },
    { method: 'POST', path: '/v1/release', bodyLimit, handler: answering('release', release, custody) },
    { method: 'POST', path: '/v1/heartbeat', bodyLimit, handler: answering('heartbeat', heartbeat, custody) },
    {
      method: 'POST',
      path: '/v1/certificate',
      bodyLimit,
      handler: answering('certificate', renewCertificate, custody),
    },
  ];
}

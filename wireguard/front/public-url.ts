import { authorityOf } from '../../platform/listening/listen-address.ts';
import { parseEndpoint } from '../config/endpoint.ts';
import type { HubConfig } from '../data/hub-config.ts';

/**
 * Pure: where spokes reach the API. `publicUrl` of the config where there is one; else the address it listens on, and for one that is
 * every address of the machine (`0.0.0.0`, `::`) the host of an interface's endpoint.
 */
export function publicUrlOf(
  { publicUrl, listen, tls }: Pick<HubConfig, 'publicUrl' | 'listen' | 'tls'>,
  port: number,
  endpoint: string | null,
): string {
  if (publicUrl !== null) return publicUrl;
  const isEvery = listen.host === '0.0.0.0' || listen.host === '::';
  const host = isEvery && endpoint !== null ? parseEndpoint(endpoint, 'endpoint').host : listen.host;
  return `${tls === null ? 'http' : 'https'}://${authorityOf(host, port)}`;
}

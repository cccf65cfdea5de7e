import { parseEndpoint } from '../config/endpoint.ts';
import type { HubConfig } from '../data/hub-config.ts';
import { servingUrl } from './hub-url.ts';

/**
 * Pure: where spokes of an interface reach the API. `publicUrl` of the config where there is one; else the address it listens on, and for
 * one that is every address of the machine (`0.0.0.0`, `::`) the host of the interface's endpoint.
 */
export function publicUrlOf(
  { publicUrl, listen, tls }: Pick<HubConfig, 'publicUrl' | 'listen' | 'tls'>,
  port: number,
  endpoint: string,
): string {
  if (publicUrl !== null) return publicUrl;
  const isEvery = listen.host === '0.0.0.0' || listen.host === '::';
  const host = isEvery ? parseEndpoint(endpoint, 'endpoint').host : listen.host;
  return servingUrl({ tls, listen: { ...listen, host } }, port);
}

/** Pure: true for a URL that leads to whoever follows it. */
export function leadsNowhereElse(url: string): boolean {
  return /^(localhost|127\.[0-9.]+|\[::1\])$/.test(new URL(url).hostname);
}

import { authorityOf } from '../../platform/listening/listen-address.ts';
import type { HubConfig } from '../data/hub-config.ts';

/** Where a hub serves by itself: `https://10.0.1.1:8090`. Not what it is called from outside, which is `publicUrl`. */
export function servingUrl({ tls, listen }: Pick<HubConfig, 'tls' | 'listen'>, port: number = listen.port): string {
  return `${tls === null ? 'http' : 'https'}://${authorityOf(listen.host, port)}`;
}

/** Names and addresses that a hub is reached by, as far as its config tells. */
export function hostsOf({ publicUrl, listen }: Pick<HubConfig, 'publicUrl' | 'listen'>): string[] {
  const isEvery = ['0.0.0.0', '::'].includes(listen.host);
  const named = publicUrl === null ? [] : [new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')];
  return [...new Set([...named, ...(isEvery ? [] : [listen.host])])];
}

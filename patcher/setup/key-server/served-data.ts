import { quoted, xml } from '../../../platform/service-text.ts';

/** Pure: whether a service file starts the key server of this data directory; false where there is none. */
export function servesData(service: string | null, data: string): boolean {
  if (service === null) return false;
  const spelled = [quoted(data), `<string>${xml(data)}</string>`];
  return spelled.some((words) => service.includes(words)) || service.split(/[\s"']+/).includes(data);
}

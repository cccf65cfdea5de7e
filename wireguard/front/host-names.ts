import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LatchkeyError } from '../../platform/errors.ts';

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const nameShape = new RegExp(`^(?=.{1,253}$)(?![0-9.]+$)${label}(\\.${label})*$`);

/** Names (as DNS has them) and IP addresses, each in one spelling and once. */
export function parseHosts(texts: readonly string[], field: string): string[] {
  const hosts = texts.map((text) => {
    if (isIP(text) !== 0 && !text.includes('%')) return ipaddr.parse(text).toString();
    const name = text.toLowerCase();
    if (nameShape.test(name)) return name;
    throw new LatchkeyError('invalid_request', `"${field}" must be names such as hub.example, or IP addresses`, {
      exit: 2,
      field,
    });
  });
  return [...new Set(hosts)];
}

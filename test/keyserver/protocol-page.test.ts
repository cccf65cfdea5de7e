import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { heartbeatProof } from '../../keyserver/calls/heartbeat.ts';
import { protocolRoutes } from '../../keyserver/calls/routes.ts';
import { linkFromBytes } from '../../keyserver/link.ts';
import { genesisHash, nextRecord } from '../../platform/audit-chain.ts';
import { totpCode } from '../../platform/totp.ts';
import { decodeBase32 } from './honest-client.ts';

const page = readFileSync(new URL('../../keyserver/PROTOCOL.md', import.meta.url), 'utf8');
const bytes = Buffer.alloc(32, 7);
const bootId = '6f1b7a52-0000-4000-8000-0123456789ab';
const time = 1_750_000_000_000;

/** The cells of the vector table, by what stands in their first column. */
function vector(start: string): string {
  const line = page.split('\n').find((row) => row.startsWith(`| ${start}`)) ?? '';
  return /\| `(.*)` \|$/.exec(line)?.[1]?.replaceAll('\\|', '|') ?? '';
}

test('the page’s link, digest, id and proof are what the code makes of them', () => {
  const link = linkFromBytes(bytes);
  expect(vector('link ')).toBe(bytes.toString('base64url'));
  expect(vector('H(link)')).toBe(link.hash.toString('hex'));
  expect(vector('linkId')).toBe(link.id);
  expect(vector('heartbeat message')).toBe(`${link.id}|${time}|${bootId}`);
  expect(vector('proof')).toBe(heartbeatProof(link.hash, { linkId: link.id, time, bootId }).toString('hex'));
  const notice = { code: 'reapplied', at: time, from: '32.0.2', to: '33.0.1' } as const;
  expect(vector('message with a notice')).toBe(`${link.id}|${time}|${bootId}|reapplied|${time}|32.0.2|33.0.1`);
  expect(vector('its proof')).toBe(
    heartbeatProof(link.hash, { linkId: link.id, time, bootId, notice }).toString('hex'),
  );
});

test('the page’s TOTP codes are those of its secret', () => {
  const secret = decodeBase32('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
  expect(page).toContain('`GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ` at 59 s and at 1111111109 s');
  expect(page).toContain(`\`${totpCode(secret, 1)}\`, \`${totpCode(secret, 37_037_036)}\``);
});

test('the page’s audit records follow each other', () => {
  const client = 'lk-1';
  const first = nextRecord({ seq: 0, hash: genesisHash }, { time, event: 'key_released', client, keys: ['master_1'] });
  const link = linkFromBytes(bytes).id;
  const second = nextRecord(first, { time: time + 1, event: 'fork_detected', client, link });
  expect(vector('audit record 1')).toBe(first.body);
  expect(vector('audit record 2')).toBe(second.body);
  const hashes = [...page.matchAll(/^\| its hash \| `([0-9a-f]{64})` \|$/gm)].map((match) => match[1]);
  expect(hashes).toEqual([first.hash.toString('hex'), second.hash.toString('hex')]);
});

test('every route of the server has its place on the page', () => {
  const routes = protocolRoutes({} as Parameters<typeof protocolRoutes>[0]);
  for (const { method, path } of routes) expect(page).toContain(`\`${method} ${path.replace(':id', '{id}')}\``);
});

import { randomBytes } from 'node:crypto';
import { addGateway, type Payloads } from '../../wireguard/gateways/gateway-store.ts';
import { openPayload, sealPayload } from '../../wireguard/gateways/payload.ts';
import { signatureOf } from '../../wireguard/gateways/signature.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import type { HubReply, RunningHub } from './running-hub.ts';

/** A gateway as a test plays it. */
export interface TestGateway {
  readonly name: string;
  readonly secret: Buffer;
}

export async function registerGateway(
  hub: RunningHub,
  name: string,
  change: { readonly payloads?: Payloads; readonly interface?: string } = {},
): Promise<TestGateway> {
  const secret = randomBytes(32);
  const order = { name, interface: 'wg0', payloads: 'either' as const, ...change };
  await hub.data.store.transaction((tx) =>
    addGateway(tx, order, secret, { seal: hub.vault, now: hub.clock.now(), by: COMMAND }),
  );
  return { name, secret };
}

export interface SignedAsk {
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly isSealed?: boolean;
  readonly nonce?: string;
  /** What is added to the gateway's clock, in seconds. */
  readonly seconds?: number;
  /** Headers in place of the ones that belong there; `undefined` leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** What is sent in place of what was signed. */
  readonly sent?: { readonly method?: string; readonly path?: string; readonly body?: string };
}

export const newNonce = (): string => randomBytes(16).toString('base64url');

/** A request as a gateway makes it; where its payload is sealed the answer has to be too, and is opened. */
export async function askSigned(
  hub: RunningHub,
  gateway: TestGateway,
  method: string,
  path: string,
  ask: SignedAsk = {},
): Promise<HubReply> {
  const { nonce = newNonce(), seconds = 0, isSealed = false, sent = {} } = ask;
  const plain = ask.body === undefined ? '' : JSON.stringify(ask.body);
  const request = { direction: 'request', method, path, nonce, status: null } as const;
  const body =
    isSealed && plain !== ''
      ? JSON.stringify({ payload: sealPayload(gateway.secret, request, Buffer.from(plain), randomBytes) })
      : plain;
  const timestamp = String(Math.floor(hub.clock.now() / 1000) + seconds);
  const signature = signatureOf(gateway.secret, { method, path, timestamp, nonce, body: Buffer.from(body) });
  const headers: Record<string, string> = {};
  const given = { 'X-Gateway': gateway.name, 'X-Timestamp': timestamp, 'X-Nonce': nonce, 'X-Signature': signature };
  for (const [name, value] of Object.entries({ ...given, ...ask.headers })) {
    if (value !== undefined) headers[name] = value;
  }
  const bytes = sent.body ?? body;
  const reply = await hub.request(sent.method ?? method, sent.path ?? path, {
    headers,
    ...(bytes === '' ? {} : { body: bytes }),
  });
  if (!isSealed || reply.status === 401) return reply;
  const response = { direction: 'response', method, path, nonce, status: reply.status } as const;
  const text = openPayload(gateway.secret, response, reply.body.payload).toString('utf8');
  return { ...reply, text, body: JSON.parse(text) };
}

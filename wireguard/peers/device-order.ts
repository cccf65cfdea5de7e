import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';

/** A device as a backend asks for it. */
export interface DeviceOrder {
  /** Whose it is, in the backend's own words. */
  readonly user_id: string;
  readonly device_name: string;
  /** The hub's interface; the first by name unless told. */
  readonly interface?: string | undefined;
  /** The program that is to take the configuration. */
  readonly client?: string | undefined;
}

/** What a name may be is the register's to say, for every door. */
const schema = z.strictObject({
  user_id: z.string(),
  device_name: z.string(),
  interface: z.string().optional(),
  client: z.string().optional(),
});

/** What the body of a request asks for. Throws `invalid_request`; what is missing or blank is told as `user_id required`. */
export function readDeviceOrder(body: unknown): DeviceOrder {
  if (isFields(body)) for (const field of ['user_id', 'device_name'] as const) requireText(body, field);
  return parseInput(schema, body);
}

function requireText(body: Readonly<Record<string, unknown>>, field: string): void {
  const value = body[field] ?? '';
  if (typeof value !== 'string' || value.trim() !== '') return;
  throw new LatchkeyError('invalid_request', `${field} required`, { status: 400, field });
}

function isFields(body: unknown): body is Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null && !Array.isArray(body);
}

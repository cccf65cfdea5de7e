import { isIP } from 'node:net';
import * as z from 'zod';

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/** A DNS name or an IP address by which a server is known. */
export const hostSchema = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || (hostName.test(text) && !/^[0-9.]+$/.test(text)),
    'must be a host name or an IP address',
  );

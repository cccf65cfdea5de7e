import { createConnection, isIP } from 'node:net';
import * as z from 'zod';

const probeTimeout = 5_000;

/** `ADDRESS:PORT` or `[ADDRESS]:PORT`: an address, not a name, as names need a network to be looked up in. */
export const probeTarget = z
  .string()
  .refine((text) => targetOf(text) !== null, 'must be an IP address and a port, such as 192.168.1.1:80');

interface Target {
  readonly host: string;
  readonly port: number;
}

function targetOf(text: string): Target | null {
  const [, six, four, digits = ''] = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(text) ?? [];
  const host = six ?? four ?? '';
  const port = Number(digits);
  return isIP(host) === (six === undefined ? 4 : 6) && port <= 65_535 ? { host, port } : null;
}

/**
 * Whether any of the owner's hosts can be reached: it takes a TCP connection, or turns one away itself. Without a host to
 * ask the network counts as there.
 */
export async function isConnectedTo(targets: readonly string[]): Promise<boolean> {
  if (targets.length === 0) return true;
  const answers = targets.map(async (text) => {
    const target = targetOf(text);
    if (target === null || !(await isReached(target))) throw new Error('not reached');
  });
  return Promise.any(answers).then(
    () => true,
    () => false,
  );
}

function isReached(target: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ ...target, timeout: probeTimeout });
    const end = (reached: boolean): void => {
      socket.destroy();
      resolve(reached);
    };
    socket.on('connect', () => end(true));
    socket.on('timeout', () => end(false));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}

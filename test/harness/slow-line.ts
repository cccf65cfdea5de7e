import { connect, createServer, type Socket } from 'node:net';

/** A port that passes everything on to another, no faster than so many bytes a second each way, and counts. */
export interface SlowLine {
  readonly port: number;
  /** Bytes that came from the far end. */
  received(): number;
  close(): Promise<void>;
}

/** How often a line moves a piece. */
const TICK_MS = 20;

export async function startSlowLine(targetPort: number, bytesPerSecond: number): Promise<SlowLine> {
  const piece = Math.max(1, Math.floor((bytesPerSecond * TICK_MS) / 1000));
  const open = new Set<Socket>();
  let received = 0;
  const carry = (from: Socket, to: Socket, count: (bytes: number) => void): void => {
    const timer = setInterval(() => {
      const chunk = (from.read(Math.min(piece, from.readableLength)) ?? null) as Buffer | null;
      if (chunk === null) return;
      count(chunk.length);
      to.write(chunk);
    }, TICK_MS);
    from.on('readable', () => undefined); // makes it fill its buffer, and no more
    from.on('end', () => to.end());
    from.on('error', () => undefined);
    from.on('close', () => {
      clearInterval(timer);
      open.delete(from);
      to.destroy();
    });
  };
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    for (const socket of [near, far]) open.add(socket);
    carry(near, far, () => undefined);
    carry(far, near, (bytes) => {
      received += bytes;
    });
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    received: () => received,
    close: () =>
      new Promise((done) => {
        for (const socket of open) socket.destroy();
        server.close(() => done());
      }),
  };
}

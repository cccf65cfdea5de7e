import { connect, createServer, type Socket } from 'node:net';

const TICK_MS = 20;

/** A port that passes everything on to another, so many bytes a second each way. */
export async function startSlowLine(
  targetPort: number,
  bytesPerSecond: number,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          open.delete(socket);
          near.destroy();
          far.destroy();
        });
    }
    pour(near, far, bytesPerSecond);
    pour(far, near, bytesPerSecond);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function pour(from: Socket, to: Socket, bytesPerSecond: number): void {
  from.on('data', (chunk) => {
    to.write(chunk);
    from.pause();
    setTimeout(() => from.resume(), Math.max(TICK_MS, (chunk.length / bytesPerSecond) * 1000));
  });
}

import { connect, createServer, type Socket } from 'node:net';

/** What the tap does to what comes next on the connection it watches. */
export type Trick =
  | { readonly do: 'pass' }
  /** The request never arrives: the line is cut as it is sent. */
  | { readonly do: 'drop-request' }
  /** The request arrives, its answer does not: the line is cut as the answer is sent. */
  | { readonly do: 'drop-answer' }
  /** The bytes of the request arrive twice. */
  | { readonly do: 'double' }
  /** The request waits. */
  | { readonly do: 'delay'; readonly ms: number };

/**
 * Somebody on the network between host and key server: sees every byte (all of it TLS), keeps a recording, and may drop,
 * double and delay what passes.
 */
export class LineTap {
  readonly port: number;
  /** What hosts have sent, one recording a connection, as it went over the wire. */
  readonly recordings: Buffer[][] = [];
  /** What came back. */
  readonly answers: Buffer[] = [];
  readonly #stop: () => Promise<void>;
  #trick: Trick = { do: 'pass' };

  private constructor(port: number, stop: () => Promise<void>) {
    this.port = port;
    this.#stop = stop;
  }

  static async start(serverPort: number): Promise<LineTap> {
    const open = new Set<Socket>();
    let tap: LineTap | null = null;
    const server = createServer((near) => {
      const far = connect(serverPort, '127.0.0.1');
      for (const socket of [near, far]) {
        open.add(socket);
        socket.setNoDelay(true);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          open.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      tap?.wire(near, far);
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    tap = new LineTap(port, async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    });
    return tap;
  }

  /** Applies to the next bytes that a host sends on a connection that stands already; then passes again. */
  next(trick: Trick): void {
    this.#trick = trick;
  }

  wire(near: Socket, far: Socket): void {
    const recording: Buffer[] = [];
    this.recordings.push(recording);
    let dropAnswer = false;
    near.on('data', (chunk: Buffer) => {
      recording.push(chunk);
      const trick = this.#trick;
      this.#trick = { do: 'pass' };
      if (trick.do === 'drop-request') return void near.resetAndDestroy();
      dropAnswer ||= trick.do === 'drop-answer';
      const pass = (): void => {
        far.write(chunk);
        if (trick.do === 'double') far.write(chunk);
      };
      if (trick.do === 'delay') setTimeout(pass, trick.ms);
      else pass();
    });
    far.on('data', (chunk: Buffer) => {
      if (dropAnswer) return void near.resetAndDestroy();
      this.answers.push(chunk);
      near.write(chunk);
    });
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

/** Sends recorded bytes on a new connection, as they went, and answers all that comes back. */
export function replayBytes(port: number, recording: readonly Buffer[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => {
      for (const chunk of recording) socket.write(chunk);
    });
    socket.setTimeout(1_500, () => socket.destroy());
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve(Buffer.concat(parts)));
  });
}

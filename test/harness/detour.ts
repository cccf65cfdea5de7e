import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.ts';

/** Another way to a port of 127.0.0.1, as a tunnel is one: what comes in at its own port comes out there. */
export class Detour {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, port: number, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = port;
  }

  static async open(to: number): Promise<Detour> {
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(to, '127.0.0.1');
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
    const port = await freePort();
    await new Promise<void>((done, fail) => server.on('error', fail).listen(port, '127.0.0.1', done));
    return new Detour(server, port, sockets);
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Ends it and whatever goes over it; twice is as once. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** When the line breaks: before the words arrive, or after they did and before the answer comes back. */
type Moment = 'before' | 'after';

/** A line to a local port that breaks at a word, once. */
export class CutLine {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #word: string | null = null;
  #moment: Moment = 'before';

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<CutLine> {
    const server = createServer();
    const line = new CutLine(server);
    server.on('connection', (near) => line.#carry(near, connect(port, '127.0.0.1')));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return line;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** True until it broke. */
  get waits(): boolean {
    return this.#word !== null;
  }

  cut(moment: Moment, word: string): void {
    this.#word = word;
    this.#moment = moment;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  #carry(near: Socket, far: Socket): void {
    let isMute = false;
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
    near.on('data', (chunk) => {
      if (this.#word === null || !chunk.includes(this.#word)) return void far.write(chunk);
      this.#word = null;
      if (this.#moment === 'before') return end();
      isMute = true;
      far.write(chunk);
    });
    far.on('data', (chunk) => (isMute ? end() : void near.write(chunk)));
  }
}

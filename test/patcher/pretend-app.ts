import { createHash } from 'node:crypto';
import type { Occ } from '../../patcher/actions/action.ts';

/** Thrown in place of an answer: ncpatch was killed at this moment. */
export class Killed extends Error {}

/** Answers `occ remotekey:…` as the app does, and keeps count of where each key is. */
export class PretendApp {
  /** Where it says that copies may lie. */
  copies: string[] = [];
  readonly disk = new Map<string, Buffer>();
  readonly keyServer = new Map<string, Buffer>();
  moved: string[] = [];
  grant = 'the-grant';
  readonly calls: string[] = [];
  /** Which call is cut off, counted from 0, and on which side of its effect. */
  cut: { readonly call: number; readonly side: 'before' | 'after' } | null = null;

  readonly occ: Occ = async (args, options = {}) => {
    const name = args.filter((part) => part !== '--output=json').join(' ');
    const n = this.calls.push(name) - 1;
    if (this.cut?.call === n && this.cut.side === 'before') throw new Killed();
    const input = options.input === undefined ? {} : (JSON.parse(options.input) as Record<string, unknown>);
    const answer = this.#answer(name, input);
    if (this.cut?.call === n) throw new Killed();
    const exit = 'error' in answer ? 1 : 0;
    return { exit, stdout: Buffer.from(`${JSON.stringify(answer)}\n`), stderr: '' };
  };

  /** Places where the key can be had from without the owner's copy. */
  placesOf(id: string): number {
    return Number(this.disk.has(id)) + Number(this.keyServer.has(id));
  }

  #answer(name: string, input: Record<string, unknown>): object {
    switch (name) {
      case 'remotekey:escrow --stage=preflight':
        return this.#preflight();
      case 'remotekey:escrow --stage=store':
        return this.#store(input);
      case 'remotekey:escrow --stage=prove':
        return { release: true, pair: true, files: 3 };
      case 'remotekey:escrow --stage=remove':
        return this.#remove();
      case 'remotekey:restore --stage=write':
        return this.#write(input);
      case 'remotekey:restore --stage=finish':
        return this.#finish();
      default:
        throw new Error(`not expected: occ ${name}`);
    }
  }

  #preflight(): object {
    const ids = [...new Set([...this.disk.keys(), ...this.moved])].sort();
    const privateKeys = ids.map((id) => ({
      id,
      bytes: this.disk.get(id)?.length ?? 0,
      sha256: '',
      local: this.disk.has(id),
      remote: this.moved.includes(id),
      opens: true,
    }));
    return { mode: 'master', masterKeyId: 'master_1', privateKeys, foreignShareKeys: 0, sample: ['a'], problems: [] };
  }

  #store(input: Record<string, unknown>): object {
    const missing = [...this.disk.keys()].some((id) => !this.keyServer.has(id));
    if (missing && input.grant !== this.grant) {
      return { error: { code: 'grant_refused', message: 'the grant is not good', hint: 'get a new one' } };
    }
    for (const [id, key] of this.disk) this.keyServer.set(id, key);
    const keys = [...this.keyServer].map(([id, key]) => ({ id, sha256: sha256(key), key: key.toString('base64') }));
    return { keys };
  }

  #remove(): object {
    const removed = [...this.disk.keys()].filter((id) => this.keyServer.has(id));
    this.moved = [...this.keyServer.keys()];
    for (const id of removed) this.disk.delete(id);
    return { removed, copies: this.copies };
  }

  #write(input: Record<string, unknown>): object {
    const given = input.keys as Record<string, string> | undefined;
    const source =
      given === undefined
        ? this.keyServer
        : new Map(Object.entries(given).map(([id, key]) => [id, Buffer.from(key, 'base64')]));
    const written = [...source.keys()].filter((id) => !this.disk.has(id));
    for (const id of written) this.disk.set(id, source.get(id) ?? Buffer.alloc(0));
    return { written, present: [], missing: this.moved.filter((id) => !this.disk.has(id)) };
  }

  #finish(): object {
    const restored = this.moved;
    this.moved = [];
    return { restored, decrypt: true, files: 3 };
  }
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

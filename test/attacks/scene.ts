import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cleanup } from '../harness/cleanup.ts';
import { instanceObstacle } from '../harness/nextcloud-instance.ts';
import { listTrees, type NextcloudTree, treesFolder } from '../harness/nextcloud-tree.ts';
import { type NextcloudStage, stageNextcloud } from './nextcloud-stage.ts';

/** Where attacks are played: a folder of the attacker's own, and a Nextcloud that is set up once, when first asked for. */
export class Scene {
  readonly cleanup: Cleanup = new Cleanup();
  /** The attacker's machine: nothing below it counts as found on a server's disk. */
  readonly folder: string;
  readonly #say: (line: string) => void;
  readonly #left: string[] = [];
  #row: Cleanup = new Cleanup();
  #nextcloud: Promise<NextcloudStage> | null = null;

  constructor(say: (line: string) => void = () => undefined) {
    this.#say = say;
    this.folder = mkdtempSync(join(tmpdir(), `latchkey-life-${process.pid}-`));
    this.cleanup.add(this.folder, () => rmSync(this.folder, { recursive: true, force: true }));
    this.cleanup.add('row', () => this.endRow());
  }

  /** For what one row alone needs; undone when that row is over. */
  get row(): Cleanup {
    return this.#row;
  }

  say(line: string): void {
    this.#say(line);
  }

  /** Why there is no Nextcloud here, or `null`. */
  obstacle(): string | null {
    return this.#tree() === null ? `no Nextcloud release in ${treesFolder()}` : instanceObstacle();
  }

  #tree(): NextcloudTree | null {
    return listTrees().at(-1) ?? null;
  }

  /** A Nextcloud after a whole life: stock first, then with its keys moved. Ask `obstacle` first. */
  nextcloud(): Promise<NextcloudStage> {
    const tree = this.#tree();
    if (tree === null) throw new TypeError('there is no release to play with');
    this.#nextcloud ??= stageNextcloud(this, tree);
    return this.#nextcloud;
  }

  /** Undoes what the row that was played had set up. */
  async endRow(): Promise<void> {
    const row = this.#row;
    this.#row = new Cleanup();
    this.#left.push(...(await row.run()));
  }

  /** Answers what could not be cleaned up. */
  async close(): Promise<readonly string[]> {
    const left = await this.cleanup.run();
    return [...this.#left, ...left];
  }
}

import type { Finding, FindingKind, Remark, SeenApp } from './verdict.ts';

/** What the judges write down, each about its own part. */
export class Notebook {
  readonly findings: Finding[] = [];
  readonly remarks: Remark[] = [];
  readonly verified: string[] = [];
  readonly open = new Map<string, Map<string, string>>();
  readonly apps = new Map<string, SeenApp>();
  core: string | null = null;

  find(kind: FindingKind, part: string, path: string, about: { words?: string | null; mark: string | null }): void {
    this.findings.push({ kind, path, part, words: about.words ?? null, mark: about.mark });
  }

  remark(kind: Remark['kind'], path: string, words: string): void {
    this.remarks.push({ kind, path, words });
  }

  /** Something that no signed list covers. */
  saw(part: string, path: string, mark: string): void {
    const found = this.open.get(part) ?? new Map<string, string>();
    this.open.set(part, found.set(path, mark));
  }
}

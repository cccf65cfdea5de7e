/** What one step of the suite came to. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A file that was run, as vitest's JSON reporter tells of it. */
interface FileReport {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
}

/** The report of one run. */
export class VitestReport {
  readonly #files: readonly FileReport[];

  constructor(files: readonly FileReport[]) {
    this.#files = files;
  }

  /** Of the reporter's own text. */
  static read(text: string): VitestReport {
    return new VitestReport((JSON.parse(text) as { readonly testResults: readonly FileReport[] }).testResults);
  }

  /** A file that did not load has no tests to fail: it counts as one. */
  count(): Count {
    const all = this.#files.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
    const passed = all.filter((status) => status === 'passed').length;
    const failed = all.filter((status) => status === 'failed').length;
    const unloaded = this.#files.filter((file) => file.status === 'failed' && namesIn(file).length === 0).length;
    return { passed, failed: failed + unloaded, skipped: all.length - passed - failed };
  }

  /** Paths of the files in which something failed. */
  failedFiles(): readonly string[] {
    return this.#files.filter(({ status }) => status === 'failed').map(({ name }) => name);
  }

  /** What failed, a line each: the path and the test's name. */
  failures(): readonly string[] {
    return this.#files
      .filter(({ status }) => status === 'failed')
      .flatMap((file) => {
        const names = namesIn(file);
        return names.length === 0 ? [`${file.name}: it could not be run`] : names.map((one) => `${file.name}: ${one}`);
      });
  }

  /** The same with another run's reports of the files that were run again. */
  with(again: VitestReport): VitestReport {
    const later = new Map(again.#files.map((file) => [file.name, file]));
    return new VitestReport(this.#files.map((file) => later.get(file.name) ?? file));
  }
}

function namesIn({ assertionResults }: FileReport): string[] {
  return assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
}

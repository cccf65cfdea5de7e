import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import { BackgroundProcess } from './background-process.ts';
import { freePort } from './free-port.ts';
import { findProgram } from './programs.ts';

/** An alert as Prometheus shows it. */
export interface ShownAlert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface QueryResult {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, text: string];
}

/** A real Prometheus on loopback, with its data and its files in a folder of its own. */
export class TestPrometheus {
  readonly #url: string;
  readonly #process: BackgroundProcess;

  private constructor(url: string, started: BackgroundProcess) {
    this.#url = url;
    this.#process = started;
  }

  /** `files` by name, among them `prometheus.yml`, are written to `folder`. */
  static async start(folder: string, files: Readonly<Record<string, string>>): Promise<TestPrometheus> {
    const program = findProgram('prometheus');
    if (program === null) throw new Error('prometheus is not installed');
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const started = await BackgroundProcess.start(
      [
        program,
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=warn',
      ],
      {
        readyIf: () =>
          fetch(`${url}/-/ready`).then(
            ({ ok }) => ok,
            () => false,
          ),
      },
    );
    return new TestPrometheus(url, started);
  }

  async alerts(): Promise<readonly ShownAlert[]> {
    return ((await this.#get('/api/v1/alerts')) as { alerts: ShownAlert[] }).alerts;
  }

  /** The error of the last scrape of each target; `''` for none. */
  async scrapeErrors(): Promise<readonly string[]> {
    const { activeTargets } = (await this.#get('/api/v1/targets')) as { activeTargets: { lastError: string }[] };
    return activeTargets.map(({ lastError }) => lastError);
  }

  /** Throws what Prometheus says against the query. */
  async query(query: string): Promise<readonly QueryResult[]> {
    const { result } = (await this.#get(`/api/v1/query?${new URLSearchParams({ query })}`)) as {
      result: QueryResult[];
    };
    return result;
  }

  async #get(path: string): Promise<unknown> {
    const answer = (await (await fetch(`${this.#url}${path}`)).json()) as { error?: string; data?: unknown };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.data;
  }

  /** What it has printed and logged. */
  output(): string {
    return this.#process.output();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}

/** What promtool says against it; `''` for nothing. */
export async function promtool(argv: readonly string[], input = ''): Promise<string> {
  const { exit, stdout, stderr } = await run(['promtool', ...argv], { timeoutMs: 60_000, allowExit: 'any', input });
  return exit === 0 ? '' : `exit ${exit}\n${stdout}${stderr}`;
}

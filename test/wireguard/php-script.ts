import { join, resolve } from 'node:path';
import { run } from '../../platform/run.ts';
import { findProgram } from '../harness/programs.ts';

const client = resolve(import.meta.dirname, '../../wireguard/clients/php');

/** What a script came to: what it returned, or what was thrown. */
export interface PhpResult {
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
  readonly returned?: any;
  readonly thrown?: {
    /** Without its namespace. */
    readonly class: string;
    readonly message: string;
    readonly code?: string;
    readonly status?: number;
    readonly field?: string | null;
    readonly detail?: string | null;
    readonly mayHaveHappened?: boolean;
    /** Codes by hub. */
    readonly reasons?: Readonly<Record<string, string>>;
  };
  /** All that a log might get of what was thrown: messages, and traces with their arguments. */
  readonly trace: string;
}

const prelude = `
require ${JSON.stringify(join(client, 'autoload.php'))};
use LatchkeyHub\\{Client, HubPool};
use LatchkeyHub\\Exception\\{HubException, NotFound};
$given = json_decode(stream_get_contents(STDIN), true);
function described(Throwable $e): array {
  $codes = fn (array $reasons): array => array_map(fn ($one) => $one->errorCode, $reasons);
  return ['class' => (new ReflectionClass($e))->getShortName(), 'message' => $e->getMessage()]
    + ($e instanceof HubException ? ['code' => $e->errorCode, 'status' => $e->status, 'field' => $e->field, 'detail' => $e->detail] : [])
    + (isset($e->mayHaveHappened) ? ['mayHaveHappened' => $e->mayHaveHappened] : [])
    + (isset($e->reasons) ? ['reasons' => $codes($e->reasons)] : []);
}
try {
  $result = ['returned' => (static function (#[\\SensitiveParameter] array $given) {`;
const end = `})($given), 'trace' => ''];
} catch (Throwable $e) {
  $result = ['thrown' => described($e), 'trace' => $e . print_r($e->getTrace(), true)];
}
echo json_encode($result, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);`;

/**
 * Runs the body of a PHP function with the client loaded; `$given` is what it is given. Secrets travel on standard input. Arguments are
 * kept in traces, as many a server in development does.
 */
export async function php(body: string, given: object): Promise<PhpResult> {
  const argv = [findProgram('php') ?? 'php', '-d', 'zend.exception_ignore_args=0', '-d', 'error_reporting=-1'] as const;
  const { stdout } = await run([...argv, '-d', 'display_errors=stderr', '-r', `${prelude}${body}${end}`], {
    timeoutMs: 30_000,
    input: JSON.stringify(given),
  });
  return JSON.parse(stdout.toString()) as PhpResult;
}

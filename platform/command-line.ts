import { createInterface } from 'node:readline';
import { Command, CommanderError } from 'commander';
import { isLatchkeyError, LatchkeyError } from './errors.ts';
import { printable } from './printable.ts';

/** Where a command reads and writes; `main.ts` hands in the process's own. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** 0 done, 1 failed, 2 used wrongly, 3 refused because it would be unsafe. */
export type ExitCode = 0 | 1 | 2 | 3;

/**
 * Runs one command line to its exit code. Data goes to stdout; errors go to stderr as `NAME: error: …` and
 * `NAME: hint: …`, and with `--json` anywhere in `argv` also to stdout as `{"error":{code,message,hint?,field?}}`.
 * A command that has told all of it in its own JSON says so by `extra: { told: true }`, so that stdout is one document.
 * An error that is not ours is a defect: it is told as `internal_error`, with its stack only when LATCHKEY_DEBUG is set.
 */
export async function runProgram(
  name: string,
  build: (program: Command) => void,
  argv: readonly string[],
  terminal: Terminal,
): Promise<ExitCode> {
  const program = new Command(name);
  for (const stream of [terminal.stdout, terminal.stderr]) endQuietlyWithReader(stream);
  program.exitOverride().configureOutput({
    writeOut: (text) => void terminal.stdout.write(text),
    writeErr: () => undefined, // usage errors are written below, in one form
  });
  program.showSuggestionAfterError(false);
  build(program);
  inheritSettings(program);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    const failure = asFailure(error);
    if (failure === null) return 0;
    if (argv.includes('--json') && failure.extra?.told !== true) {
      const { code, message, hint, field } = failure;
      printJson(terminal, { error: { code, message, ...(hint && { hint }), ...(field && { field }) } });
    }
    terminal.stderr.write(`${name}: error: ${printable(failure.message)}\n`);
    if (failure.hint !== undefined) terminal.stderr.write(`${name}: hint: ${printable(failure.hint)}\n`);
    if (failure.code === 'internal_error' && terminal.env.LATCHKEY_DEBUG !== undefined) {
      terminal.stderr.write(`${(failure.cause as Error | undefined)?.stack ?? ''}\n`);
    }
    return failure.exit;
  }
}

/** Whoever read along has seen enough (`| head`): what is written after that is nobody's, and no defect. */
function endQuietlyWithReader(stream: NodeJS.WritableStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

function inheritSettings(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inheritSettings(child);
  }
}

/** `null` for help and version, which commander reports by throwing. */
function asFailure(error: unknown): LatchkeyError | null {
  if (isLatchkeyError(error)) return error;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return null;
    if (error.code === 'commander.help')
      return new LatchkeyError('usage', 'a command is missing', { exit: 2, hint: 'see --help' });
    const message = error.message.replace(/^error: /, '').replace(/\.$/, '');
    return new LatchkeyError('usage', lowerFirst(message), { exit: 2, hint: 'see --help' });
  }
  return new LatchkeyError('internal_error', 'something broke that should not have', {
    hint: 'run again with LATCHKEY_DEBUG=1 and report what it prints',
    cause: error,
  });
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

export function printJson(terminal: Pick<Terminal, 'stdout'>, value: unknown): void {
  terminal.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Prints rows as aligned columns under a header; cells must not hold line breaks. */
export function printTable(
  terminal: Pick<Terminal, 'stdout'>,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  for (const row of all) {
    const line = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
    terminal.stdout.write(`${line.trimEnd()}\n`);
  }
}

/** Asks on the terminal without echo; refused (exit 2) where nobody can answer. */
export function askSecret(terminal: Terminal, question: string, hint: string): Promise<string> {
  return ask(terminal, question, hint, false);
}

/** Asks on the terminal and shows what is typed; refused (exit 2) where nobody can answer. */
export function askLine(terminal: Terminal, question: string, hint: string): Promise<string> {
  return ask(terminal, question, hint, true);
}

function ask(terminal: Terminal, question: string, hint: string, echo: boolean): Promise<string> {
  if (terminal.stdin.isTTY !== true) {
    throw new LatchkeyError('no_terminal', `there is no terminal to ask for ${question}`, { exit: 2, hint });
  }
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: terminal.stdin, output: terminal.stderr, terminal: true });
    if (!echo) {
      // readline echoes through this method; only the question itself is to be seen
      (lines as unknown as { _writeToOutput: (text: string) => void })._writeToOutput = (text) => {
        if (text.startsWith(question)) terminal.stderr.write(`${question}: `);
      };
    }
    let answered = false;
    lines.on('close', () => {
      if (answered) return;
      terminal.stderr.write('\n'); // what is told of it begins a line
      reject(new LatchkeyError('cancelled', 'nothing was entered', { exit: 1 }));
    });
    lines.question(`${question}: `, (answer) => {
      answered = true;
      lines.close();
      if (!echo) terminal.stderr.write('\n');
      resolve(answer);
    });
  });
}

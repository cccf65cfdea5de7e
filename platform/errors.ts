/**
 * What a failure is to each of its readers: `code` for programs (stable, snake_case), `message` for people (lower case,
 * no full stop, the field quoted), `status` for HTTP, `exit` for the command line. Messages never carry a secret, raw
 * input or another program's text; the cause is kept for the log.
 */
export interface ErrorOptions {
  /** HTTP status, 500 unless told. */
  readonly status?: number;
  /** Exit code of a command: 1 failed, 2 used wrongly, 3 refused because it would be unsafe. */
  readonly exit?: 1 | 2 | 3;
  /** The input field that is wrong, as its user writes it. */
  readonly field?: string;
  /** What to do next, one line. */
  readonly hint?: string;
  /** Seconds until a new try makes sense. */
  readonly retryAfter?: number;
  /** More members for a problem document (RFC 9457, section 3.2). */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class LatchkeyError extends Error {
  readonly code: string;
  readonly status: number;
  readonly exit: 1 | 2 | 3;
  readonly field: string | undefined;
  readonly hint: string | undefined;
  readonly retryAfter: number | undefined;
  readonly extra: Readonly<Record<string, unknown>> | undefined;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LatchkeyError';
    this.code = code;
    this.status = options.status ?? 500;
    this.exit = options.exit ?? 1;
    this.field = options.field;
    this.hint = options.hint;
    this.retryAfter = options.retryAfter;
    this.extra = options.extra;
  }
}

/** True for our own errors, and with `code` only for that one. */
export function isLatchkeyError(error: unknown, code?: string): error is LatchkeyError {
  return error instanceof LatchkeyError && (code === undefined || error.code === code);
}

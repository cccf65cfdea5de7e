import type { Argv } from './background-process.ts';

/** What is typed, with a line end, each time a program's output ends with a question like this one. */
export interface Answer {
  readonly asked: string;
  readonly typed: string;
}

/** Ctrl-C, as a terminal takes it: without a line end. */
export const CTRL_C = '\u0003';

const TYPE = `
import json, os, pty, sys
answers = json.load(sys.stdin)
pid, end = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
heard = b''
while True:
    try: piece = os.read(end, 4096)
    except OSError: break
    if not piece: break
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    heard += piece
    for answer in answers:
        asked = answer['asked'].encode()
        if asked in heard:
            heard = heard[heard.index(asked) + len(asked):]
            typed = answer['typed']
            os.write(end, (typed if typed == '\\x03' else typed + '\\n').encode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
`;

/**
 * A command line that runs a command at a terminal of its own, where somebody answers; the answers, as JSON, are its input, and what
 * the terminal shows is its output.
 */
export function atTerminal(argv: Argv): Argv {
  return ['python3', '-c', TYPE, ...argv];
}

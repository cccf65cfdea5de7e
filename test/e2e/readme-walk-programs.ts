import { Command, CommanderError, type Option } from 'commander';

/** The programs of the project, as `package.json` names them. */
export const PROGRAMS = ['ncpatch', 'keyserver', 'wghub', 'wgnode'] as const;
export type Program = (typeof PROGRAMS)[number];

export function isProgram(word: string | undefined): word is Program {
  return (PROGRAMS as readonly (string | undefined)[]).includes(word);
}

const MAINS: Record<Program, () => Promise<unknown>> = {
  ncpatch: () => import('../../patcher/main.ts'),
  keyserver: () => import('../../keyserver/main.ts'),
  wghub: () => import('../../wireguard/main.ts'),
  wgnode: () => import('../../wireguard/node/main.ts'),
};

const WOULD_RUN = new CommanderError(0, 'test.would-run', 'this would run now');

const built = new Map<Program, Command>();

/**
 * What a program declares of commands and options, as its own `main.ts` builds it; none of it runs. What follows must
 * be awaited before another of them is asked for.
 */
export async function programOf(name: Program): Promise<Command> {
  const before = built.get(name);
  if (before !== undefined) return before;
  const { parseAsync, hook } = Command.prototype;
  const code = process.exitCode;
  try {
    Command.prototype.hook = function () {
      return this; // what a program does before a command is not to happen either
    };
    Command.prototype.parseAsync = function () {
      built.set(name, this);
      return Promise.resolve(this);
    };
    await MAINS[name]();
  } finally {
    Object.assign(Command.prototype, { parseAsync, hook });
    process.exitCode = code;
  }
  const program = built.get(name);
  if (program === undefined) throw new Error(`${name} has parsed nothing`);
  program.hook('preAction', () => {
    throw WOULD_RUN;
  });
  for (const command of allOf(program)) command.configureOutput({ writeOut: () => undefined });
  return program;
}

/** What only says that more words have to follow. */
const ASKS_FOR_MORE = ['commander.help', 'commander.missingArgument', 'commander.optionMissingArgument'];

/**
 * Why a program does not take these words, by its own parser; `null` where it does and would run now. In a sentence
 * words may be left out that must follow; one that is there must still be right.
 */
export async function refusalOf(
  name: Program,
  argv: readonly string[],
  { inSentence }: { readonly inSentence: boolean },
): Promise<CommanderError | null> {
  const program = await programOf(name);
  const mandatory = inSentence ? optionsOf(program).filter((option) => option.mandatory) : [];
  for (const option of mandatory) option.mandatory = false;
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (error === WOULD_RUN) return null;
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 || (inSentence && ASKS_FOR_MORE.includes(error.code)) ? null : error;
  } finally {
    for (const option of mandatory) option.mandatory = true;
  }
  throw new Error(`${name} ${argv.join(' ')} was not held back`);
}

/** Every option of a program and of all commands below it. */
export function optionsOf(program: Command): readonly Option[] {
  return allOf(program).flatMap((command) => command.options);
}

function allOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

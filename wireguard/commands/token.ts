import type { Command } from 'commander';
import { type CommandIo, dataCommand, showTime } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { addToken, listTokens, removeToken, tokenOrder } from '../access/api-tokens.ts';
import { SCOPES } from '../access/caller.ts';
import { withHubData } from '../data/hub-data.ts';
import { COMMAND } from '../hub/actor.ts';

interface TokenOptions {
  readonly data: string;
  readonly scopes: readonly string[];
  readonly expiresInDays?: string;
  readonly json?: boolean;
}

/** `token add|list|remove`: programs that ask with a token of their own. */
export function addTokenCommands(program: Command, io: CommandIo): void {
  const token = program.command('token').description('the tokens of programs that use the API');
  dataCommand(token, 'add <name>', 'make a token and show it, once')
    .requiredOption('--scopes <scope...>', `what it may do, one or more of ${SCOPES.join(', ')}`)
    .option('--expires-in-days <n>', 'when it ends by itself; never unless told')
    .action((name: string, options: TokenOptions) => add(name, options, io));
  dataCommand(token, 'list', 'list the tokens').action((options: TokenOptions) => list(options, io));
  dataCommand(token, 'remove <name>', 'take a token away; it is good for nothing at once').action(
    (name: string, options: TokenOptions) => remove(name, options, io),
  );
}

function add(name: string, options: TokenOptions, io: CommandIo): Promise<void> {
  const { expiresInDays: days } = options;
  const scopes = options.scopes.flatMap((one) => one.split(','));
  const unknown = scopes.find((one) => !SCOPES.some((scope) => scope === one));
  if (unknown !== undefined) {
    throw new LatchkeyError('usage', `"--scopes" must be of ${SCOPES.join(', ')}`, { exit: 2, field: '--scopes' });
  }
  const order = parseInput(tokenOrder, {
    name,
    scopes,
    ...(days === undefined ? {} : { expiresInDays: parseInteger(days, '--expires-in-days', { min: 1, max: 3650 }) }),
  });
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    const { report, token } = await store.transaction((tx) => addToken(tx, order, COMMAND, io.clock.now(), io.random));
    if (options.json === true) return printJson(io.terminal, { ...report, token });
    const until = report.expiresAt === null ? '' : ` until ${showTime(report.expiresAt)}`;
    io.terminal.stdout.write(`made ${name}, good for ${report.scopes.join(', ')}${until}\n\ntoken   ${token}\n`);
  });
}

function list(options: TokenOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    const tokens = await store.read(listTokens);
    if (options.json === true) return printJson(io.terminal, { tokens });
    if (tokens.length === 0)
      return void io.terminal.stderr.write('wghub: hint: there are no tokens; see wghub token add\n');
    printTable(
      io.terminal,
      ['NAME', 'ADDED', 'EXPIRES', 'USED', 'SCOPES'],
      tokens.map((one) => [
        one.name,
        showTime(one.createdAt),
        showTime(one.expiresAt),
        showTime(one.usedAt),
        one.scopes.join(' '),
      ]),
    );
  });
}

function remove(name: string, options: TokenOptions, io: CommandIo): Promise<void> {
  return withHubData(options.data, io.terminal.env, async ({ store }) => {
    const { id } = await store.transaction((tx) => removeToken(tx, { name }, COMMAND, io.clock.now()));
    if (options.json === true) printJson(io.terminal, { removed: name, id });
    else io.terminal.stdout.write(`removed ${name}; whoever has it is refused from now on\n`);
  });
}

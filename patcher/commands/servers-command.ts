import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { listServers, type ServersReport, setServers } from '../keys/servers.ts';
import { progressOn } from '../progress.ts';
import { printFields } from '../report.ts';
import { at, type CommandDeps, type CommonOptions, changing, locked } from './command.ts';

interface ServersOptions extends CommonOptions {
  readonly url: readonly string[];
  readonly unchecked?: boolean;
}

/** `servers`: where an enrolled server asks for its keys, told or changed. */
export function declareServers(program: Command, deps: CommandDeps): void {
  const { terminal } = deps;
  changing(program, 'servers', 'tell where the server asks for its keys, or change that without enrolling again')
    .option(
      '--url <https://host:port>',
      'address of the key server, all that there shall be, the preferred one first; may be given again',
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option('--unchecked', 'with --url: take addresses too where nobody answers now')
    .action(async (options: ServersOptions) => {
      const { url: urls, unchecked = false } = options;
      if (urls.length === 0 && unchecked) {
        throw new LatchkeyError('usage', '"--unchecked" needs "--url"', { exit: 2, field: '--unchecked' });
      }
      const progress = progressOn(terminal.stderr);
      const print = (report: ServersReport): void => {
        if (options.json === true) printJson(terminal, report);
        else {
          printFields(terminal, [
            ['key server', report.urls],
            ...(report.unchecked.length === 0 ? [] : [['not proved', report.unchecked] as const]),
          ]);
        }
      };
      if (urls.length === 0) {
        return at(options, deps, async (place) =>
          print(await listServers(await place.facts(), { occ: place.instance.occ, progress })),
        );
      }
      await locked(options, deps, async (place) => {
        const order = { urls, unchecked };
        print(await setServers(await place.facts(), order, { occ: place.instance.occ, progress }));
      });
    });
}

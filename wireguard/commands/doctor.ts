import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { type UnsealOptions, unsealMethodFrom, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { type HubData, withHubData } from '../data/hub-data.ts';
import { examine } from '../doctor/examine.ts';
import { type Finding, findingsAbout, isTrouble } from '../doctor/finding.ts';
import { machineFindings } from '../doctor/machine-findings.ts';
import { linkMeans } from '../links/link-means.ts';
import { linkRights } from '../links/link-trouble.ts';

interface DoctorOptions extends UnsealOptions {
  readonly data: string;
  readonly json?: boolean;
}

/** `doctor`: what is not as it should be, why it matters, and the command that sets it right. Exit 1 when something was found. */
export function addDoctorCommand(program: Command, io: CommandIo): void {
  withUnsealOptions(dataCommand(program, 'doctor', 'look for what is wrong with the hub, changing nothing')).action(
    (options: DoctorOptions) => doctor(options, io),
  );
}

async function doctor(options: DoctorOptions, io: CommandIo): Promise<void> {
  const findings = await findingsOf(options, io);
  const count = findings.filter(isTrouble).length;
  if (options.json === true) printJson(io.terminal, { well: count === 0, findings });
  else io.terminal.stdout.write(text(findings));
  if (count > 0)
    throw new LatchkeyError('unwell', `${count} of ${findings.length} things looked at are not as they should be`, {
      extra: { told: true },
    });
}

async function findingsOf(options: DoctorOptions, io: CommandIo): Promise<Finding[]> {
  const { env } = io.terminal;
  try {
    return await withHubData(options.data, env, async (data) =>
      examine(data, await vaultOf(data, options, io), { now: io.clock.now(), env, unseal: options }),
    );
  } catch (error) {
    if (!isLatchkeyError(error) || error.exit === 2) throw error;
    // what cannot be opened can still be told about, and the machine beside it
    const fix = error.hint ?? 'wghub restore, from a backup';
    const closed = findingsAbout(null).fault('data', error.message, 'the hub does not start', fix);
    return [closed, ...machineFindings(await linkMeans(env), linkRights())];
  }
}

/** Opened only where an option says how: `doctor` asks nobody. */
async function vaultOf(
  data: HubData,
  options: DoctorOptions,
  io: CommandIo,
): Promise<Vault | { message: string; hint: string } | null> {
  try {
    const method = await unsealMethodFrom(options, io);
    return method === null ? null : await unsealVault(data.directory, method, io.random);
  } catch (error) {
    if (!isLatchkeyError(error) || error.exit === 2) throw error;
    return { message: error.message, hint: error.hint ?? 'check the option that opens it' };
  }
}

const MARKS = { ok: 'ok', unknown: '-', warn: 'warn', fault: 'FAULT' } as const;

function text(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map((one) => nameOf(one).length));
  return findings
    .map((one) => {
      const line = `${MARKS[one.verdict].padEnd(6)}${nameOf(one).padEnd(width + 2)}${one.found}\n`;
      const more = [one.why && `why: ${one.why}`, one.fix && `do:  ${one.fix}`];
      return line + more.map((words) => (words ? `${' '.repeat(width + 8)}${words}\n` : '')).join('');
    })
    .join('');
}

function nameOf({ interface: name, check }: Finding): string {
  return name === null ? check : `${name} ${check}`;
}

import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson, printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { readTimeSync } from '../../platform/time-sync.ts';
import {
  type UnsealOptions,
  unsealMethodFor,
  unsealMethodFrom,
  withUnsealOptions,
} from '../../platform/vault/unseal-options.ts';
import { sealMethodOf, unsealVault } from '../../platform/vault/vault-file.ts';
import { examine, timeSyncFinding } from '../doctor.ts';
import { withServerData } from '../server-data.ts';

interface DoctorOptions extends UnsealOptions {
  readonly data: string;
  readonly json?: boolean;
}

/** `doctor`: what would keep a key from being released, each with what to do. Exit 1 when there is a fault. */
export function addDoctorCommand(program: Command, io: CommandIo): void {
  withUnsealOptions(dataCommand(program, 'doctor', 'look for what is wrong, changing nothing')).action(
    (options: DoctorOptions) => doctor(options, io),
  );
}

function doctor(options: DoctorOptions, io: CommandIo): Promise<void> {
  return withServerData(options.data, async (data) => {
    const wanted = (await unsealMethodFrom(options, io)) !== null;
    const method = wanted ? await unsealMethodFor(await sealMethodOf(data.directory), options, io) : null;
    const vault = method === null ? null : await unsealVault(data.directory, method, io.random);
    const sync = timeSyncFinding(await readTimeSync());
    const findings = [...(await examine(data, vault, io.clock.now())), sync];
    const faults = findings.filter((finding) => finding.verdict === 'fault').length;
    if (options.json === true) {
      printJson(io.terminal, { ok: faults === 0, findings });
    } else {
      const rows = findings.map((finding) => [finding.verdict, finding.check, finding.found]);
      printTable(io.terminal, ['', 'CHECK', 'FOUND'], rows);
      for (const { check, hint } of findings) {
        if (hint !== undefined) io.terminal.stderr.write(`keyserver: hint: ${check}: ${hint}\n`);
      }
    }
    if (faults > 0) {
      const extra = { told: true };
      throw new LatchkeyError('unwell', `${faults} of ${findings.length} checks found a fault`, { extra });
    }
  });
}

import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Transport } from '../transports/transport.ts';
import type { Action, Undoer } from './action.ts';
import { readUndo } from './file-before.ts';
import { writeFile } from './write-file.ts';

const UNIT = /^[A-Za-z0-9][A-Za-z0-9@_.-]{0,200}\.(service|timer|path|mount)$/;
const FOLDER = '/etc/systemd/system';

const undoSchema = z.strictObject({ unit: z.string(), wasEnabled: z.boolean(), wasActive: z.boolean() });

/** Unit files of root's, and those of them that are to run from now on: one action each, in an order that undoes well. */
export function systemdUnits(wanted: {
  units: readonly { name: string; data: Buffer }[];
  enable: readonly string[];
}): Action[] {
  const files = wanted.units.map(({ name, data }) => {
    if (!UNIT.test(name)) throw new TypeError('not the name of a unit');
    return writeFile({ path: `${FOLDER}/${name}`, data, mode: 0o644, uid: 0, gid: 0 });
  });
  return [...files, ...wanted.enable.map(enableUnit)];
}

/** Makes systemd read its files again, starts a unit and has it start at boot. */
export function enableUnit(unit: string): Action {
  if (!UNIT.test(unit)) throw new TypeError('not the name of a unit');
  return {
    kind: 'enable-unit',
    describe: () => `start ${unit}, now and at boot`,
    diff: async ({ transport }) => {
      const state = await unitState(transport, unit);
      return state.wasEnabled && state.wasActive ? '' : `enable and start ${unit}\n`;
    },
    prepare: async ({ transport }) => {
      const state = await unitState(transport, unit);
      return state.wasEnabled && state.wasActive ? null : { unit, ...state };
    },
    do: async ({ transport }) => {
      await systemctl(transport, ['daemon-reload']);
      await systemctl(transport, ['enable', '--now', unit]);
    },
  };
}

/** Stops a unit and keeps it from starting at boot; its file is removed by an action of its own, after this one. */
export function disableUnit(unit: string): Action {
  if (!UNIT.test(unit)) throw new TypeError('not the name of a unit');
  return {
    kind: 'enable-unit',
    describe: () => `stop ${unit}, and start it at boot no more`,
    diff: async ({ transport }) => {
      const state = await unitState(transport, unit);
      return state.wasEnabled || state.wasActive ? `disable and stop ${unit}\n` : '';
    },
    prepare: async ({ transport }) => {
      const state = await unitState(transport, unit);
      return state.wasEnabled || state.wasActive ? { unit, ...state } : null;
    },
    do: async ({ transport }) => systemctl(transport, ['disable', '--now', unit]),
  };
}

export const enableUnitUndoer: Undoer = {
  kind: 'enable-unit',
  undo: async ({ transport }, record) => {
    const { unit, wasEnabled, wasActive } = readUndo(undoSchema, record);
    await systemctl(transport, ['daemon-reload']);
    const now = await unitState(transport, unit);
    if (now.wasEnabled !== wasEnabled) await systemctl(transport, [wasEnabled ? 'enable' : 'disable', unit]);
    if (now.wasActive !== wasActive) await systemctl(transport, [wasActive ? 'start' : 'stop', unit]);
    return null;
  },
};

async function unitState(transport: Transport, unit: string): Promise<{ wasEnabled: boolean; wasActive: boolean }> {
  const enabled = await transport.run(['systemctl', 'is-enabled', '--quiet', unit]);
  const active = await transport.run(['systemctl', 'is-active', '--quiet', unit]);
  return { wasEnabled: enabled.exit === 0, wasActive: active.exit === 0 };
}

async function systemctl(transport: Transport, args: readonly string[]): Promise<void> {
  const { exit, stderr } = await transport.run(['systemctl', '--no-ask-password', ...args]);
  if (exit === 0) return;
  throw new LatchkeyError('systemctl_failed', `"systemctl ${args.join(' ')}" ended with exit code ${exit}`, {
    hint: exit === 127 ? 'this system does not run systemd' : 'see "journalctl -xe" on the server',
    extra: { exit, stderr: stderr.slice(-2000) },
  });
}

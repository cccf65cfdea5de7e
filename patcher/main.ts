#!/usr/bin/env node
import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { askLine, askSecret, runProgram, type Terminal } from '../platform/command-line.ts';
import { isLatchkeyError } from '../platform/errors.ts';
import { declareCommands } from './commands/declare.ts';
import { machineIdHere, machineName } from './machine-name.ts';
import type { Prompter } from './transports/prompter.ts';

const terminal: Terminal = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
};

const person: Prompter = {
  ask: async (question, { secret }) => {
    try {
      return await (secret ? askSecret : askLine)(terminal, question, 'run this where a person can answer');
    } catch (error) {
      if (isLatchkeyError(error, 'cancelled')) return null;
      throw error;
    }
  },
};

const machine = machineName(hostname(), await machineIdHere(process.platform));

let ending: 0 | 1 | 3 = 0;
const code = await runProgram(
  'ncpatch',
  (program) =>
    declareCommands(program, {
      terminal,
      prompter: process.stdin.isTTY === true ? person : null,
      appFolder: fileURLToPath(new URL('../php-app', import.meta.url)),
      now: Date.now,
      random: randomBytes,
      by: { user: userInfo().username, machine, pid: process.pid },
      self: [process.execPath, ...process.execArgv, fileURLToPath(import.meta.url)],
      interrupts: process,
      endWith: (exit) => {
        ending = exit;
      },
    }),
  process.argv.slice(2),
  terminal,
);
process.exitCode = code === 0 ? ending : code;

#!/usr/bin/env node
import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { askLine, askSecret, runProgram, type Terminal } from '../platform/command-line.ts';
import { isLatchkeyError } from '../platform/errors.ts';
import { declareCommands } from './commands.ts';
import type { Prompter } from './prompter.ts';

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

process.exitCode = await runProgram(
  'ncpatch',
  (program) =>
    declareCommands(program, {
      terminal,
      prompter: process.stdin.isTTY === true ? person : null,
      appFolder: fileURLToPath(new URL('../php-app', import.meta.url)),
      now: Date.now,
      random: randomBytes,
      by: { user: userInfo().username, machine: hostname(), pid: process.pid },
    }),
  process.argv.slice(2),
  terminal,
);

// Starts a program of a release on a Node that it is made for, and on no other. Runs on any Node there is.
import { readFileSync } from 'node:fs';

const wanted = readFileSync(new URL('NODE', import.meta.url), 'utf8').trim();

/** @param {string} text @returns {number[]} */
const numbers = (text) => text.split('.').map(Number);

/** @param {URL} program */
export async function onFitNode(program) {
  const [major = 0, minor = 0, patch = 0] = numbers(wanted);
  const [ownMajor = 0, ownMinor = 0, ownPatch = 0] = numbers(process.versions.node);
  if (ownMajor === major && (ownMinor > minor || (ownMinor === minor && ownPatch >= patch))) {
    await import(program.href);
    return;
  }
  process.stderr.write(
    `latchkey: error: this needs Node ${wanted} or a later ${major}, and this is ${process.versions.node}\n`,
  );
  process.stderr.write('latchkey: hint: run its install.sh with --node FILE\n');
  process.exitCode = 1;
}

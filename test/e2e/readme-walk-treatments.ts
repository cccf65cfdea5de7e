import { expect } from 'vitest';
import { type Answer, CTRL_C } from '../harness/typist.ts';
import type { ReadmeWorld, Said } from './readme-walk-world.ts';

/** What a walk remembers from one line to the next, as a reader would. */
export interface Walk {
  readonly world: ReadmeWorld;
  readonly told: { code?: string; grant?: string };
}

export interface Treatment {
  /** How the line begins, of whichever way it goes on. */
  readonly start: string;
  /** What else it needs than the machine at home: a Nextcloud on the server, and a tunnel where the page asks for one. */
  readonly needs: 'home' | 'server' | 'tunnel';
  /** Types it, and looks at what came of it. */
  readonly walk: (line: string, walk: Walk) => Promise<void>;
}

/** Lines of the page that are not run, each with the reason. */
export const NOT_RUN: Readonly<Record<string, string>> = { 'npm test': 'it is what runs this' };

const PASSPHRASE = 'correct horse battery staple';
/** SSH has not seen the server before. */
const trust: Answer = { asked: 'Type yes to trust it: ', typed: 'yes' };

/** Every command of README.md, in no order of their own: the page has one. */
export const TREATMENTS: readonly Treatment[] = [
  {
    start: 'npm start',
    needs: 'home',
    walk: async (line, { world }) => {
      const { text } = await world.type(line, [{ asked: 'until Ctrl-C', typed: CTRL_C }]);
      expect(text).toMatch(/the same bytes[\s\S]*stopped, \S+ is gone/);
    },
  },
  simple('npm run package', 'home', [], /dist\/latchkey-[0-9.]+\.tar\.gz\n/),
  {
    start: 'sudo sh dist/install.sh',
    needs: 'home',
    walk: async (line, { world }) => {
      done(await world.type(line), /is in use; its programs are in \/usr\/local\/bin/);
      for (const name of ['keyserver', 'ncpatch', 'wghub', 'wgnode'])
        done(await world.type(`${name} --version`), /^\d/m);
    },
  },
  {
    start: 'ncpatch setup',
    needs: 'server',
    walk: async (line, { world }) => {
      const answers = [
        trust,
        { asked: 'do this? [yes/no/quit]: ', typed: 'yes' },
        { asked: "the passphrase of the owner's copy: ", typed: PASSPHRASE },
        { asked: "the passphrase of the owner's copy again: ", typed: PASSPHRASE },
      ];
      done(await typed(world, line, answers), /^keys at home +master_/m);
      expect(await world.keysOnServer()).toEqual([]);
      await world.readFile();
    },
  },
  {
    start: 'ncpatch teardown',
    needs: 'server',
    walk: async (line, { world }) => {
      const before = await world.keysOnServer();
      done(
        await typed(world, line, [{ asked: 'take all of this back? [yes/no]: ', typed: 'yes' }]),
        /taken back: a stock Nextcloud is left/,
      );
      expect(before).toEqual([]);
      expect((await world.keysOnServer()).length).toBeGreaterThan(0);
      await world.readFile();
    },
  },
  simple('npm run -s keyserver -- init', 'tunnel', [], /^made a key server in /m),
  {
    start: 'npm run -s keyserver -- start',
    needs: 'tunnel',
    walk: (line, { world }) => world.leaveRunning(line, /^serving https:/m),
  },
  {
    start: 'npm run -s keyserver -- client add',
    needs: 'tunnel',
    walk: async (line, { world, told }) => {
      const said = done(await world.type(line), /^added client cloud/m);
      told.code = /^code +(\S+)/m.exec(said)?.[1] ?? '';
      told.grant = /^grant +(\S+)/m.exec(said)?.[1] ?? '';
      // as the page says: to the desk
      done(await world.type('cp ~/latchkey/ca.pem .'), /^/);
    },
  },
  simple('npm run -s ncpatch -- detect', 'tunnel', [trust], /^encryption +master key$/m),
  simple('npm run -s ncpatch -- plan', 'tunnel', [trust], /^\[#\] enable the app remotekeystorage/m),
  simple('npm run -s ncpatch -- apply', 'tunnel', [trust], /^applied and verified$/m),
  {
    start: 'npm run -s ncpatch -- enroll',
    needs: 'tunnel',
    walk: async (line, { world, told }) => {
      const answers = [{ asked: 'the enrolment code: ', typed: told.code ?? '' }];
      done(await world.type(line, answers), /^enrolled as +lk-/m);
    },
  },
  {
    start: 'npm run -s ncpatch -- escrow',
    needs: 'tunnel',
    walk: async (line, { world, told }) => {
      const answers = [
        { asked: "the passphrase of the owner's copy: ", typed: PASSPHRASE },
        { asked: "the passphrase of the owner's copy again: ", typed: PASSPHRASE },
        { asked: 'the escrow grant: ', typed: told.grant ?? '' },
      ];
      done(await typed(world, line, answers), /^owner's copy +cloud-keys\.copy \(/m);
      expect(await world.keysOnServer()).toEqual([]);
    },
  },
  {
    start: 'npm run -s ncpatch -- verify',
    needs: 'tunnel',
    walk: async (line, { world }) => {
      done(await typed(world, line), /^decryption +works$/m);
      await world.readFile();
    },
  },
];

function simple(start: string, needs: Treatment['needs'], answers: readonly Answer[], shows: RegExp): Treatment {
  return { start, needs, walk: async (line, { world }) => void done(await typed(world, line, answers), shows) };
}

const TRIES = 3;

/** Types a line, and again as its error says where a busy machine was too slow for a deadline. */
async function typed(world: ReadmeWorld, line: string, answers: readonly Answer[] = []): Promise<Said> {
  for (let tries = 1; ; tries++) {
    const said = await world.type(line, answers);
    if (said.exit === 0 || tries === TRIES || !/took longer than|answered too slowly/.test(said.text)) return said;
  }
}

/** It ended well and showed this; all that it showed. */
function done({ exit, text }: Said, shows: RegExp): string {
  if (exit !== 0) throw new Error(`it ended with ${exit}:\n${text}`);
  expect(text).toMatch(shows);
  return text;
}

/** How a line of the page is walked; throws where nobody has said it. */
export function treatmentOf(line: string): Treatment | null {
  if (NOT_RUN[line] !== undefined) return null;
  const words = line.replaceAll(/\s+/g, ' ');
  const found = TREATMENTS.filter(({ start }) => words === start || words.startsWith(`${start} `));
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`README.md shows "${line}", and nothing here says how it is walked`);
  }
  return found[0];
}

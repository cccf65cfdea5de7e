import { existsSync } from 'node:fs';
import { LatchkeyError } from '../../../platform/errors.ts';
import type { Facts } from '../../facts.ts';
import { escrow, escrowPreflight } from '../../keys/escrow.ts';
import { restore } from '../../keys/restore.ts';
import { freshGrant } from '../key-server/grant.ts';
import type { SetupContext, SetupStep } from '../setup-step.ts';

const counted = (files: number): string => (files === 1 ? 'one file' : `${files} files`);
const movedKeys = (facts: Facts): readonly string[] => facts.enrolment?.keys ?? [];

/** The private keys go home, and leave the server's disk once it is shown that they come back. */
export function escrowStep(context: SetupContext): SetupStep {
  const { nextcloud, progress, now, random, copyPath, copyPassphrase } = context;
  const { occ } = nextcloud.instance;
  return {
    name: 'escrow',
    title: 'move the keys home, and off the server’s disk',
    needs: ['enrol'],
    look: async () => {
      const facts = await context.facts();
      const onDisk = facts.encryption.privateKeys;
      if (movedKeys(facts).length === 0 || onDisk.length > 0) return { state: 'missing' };
      return { state: 'done', words: `the key server alone has ${movedKeys(facts).join(', ')}` };
    },
    plan: async () => {
      const { encryption } = await context.facts();
      return [
        `to the key server: ${encryption.privateKeys.join(', ') || 'what is not there yet'}`,
        `on this machine: your own encrypted copy, ${copyPath}, under a passphrase of yours`,
        'on the server: each key is REMOVED from the disk, after it came back from the key server and opened files',
        'from then on files open only while the key server answers, and up to a day after',
      ];
    },
    carryOut: async () => {
      const facts = await context.facts();
      const look = await escrowPreflight(facts, { occ, progress });
      for (const problem of look.problems) progress.note(`${problem.message} (${problem.code})`);
      const passphrase = await copyPassphrase(existsSync(copyPath) ? 'known' : 'new');
      const grant = look.privateKeys.some((key) => !key.remote) ? await freshGrant(context) : null;
      const order = { grant, copy: { path: copyPath, passphrase } };
      const { keys, files, copies } = await escrow(facts, order, { occ, progress, now, random });
      return [
        `moved ${keys.map(({ id }) => id).join(', ')}; ${counted(files)} opened with what came back`,
        `your copy: ${copyPath}; keep it and its passphrase away from both machines`,
        ...copies.map((place) => `may still hold a copy of a key, look at it: ${place}`),
      ];
    },
    // cut off anywhere, every key is in one place at least that Nextcloud can reach; taking back half of it would only add risk
    undo: async () => ['no key is lost: each is on the server’s disk, on the key server, or on both; run this again'],
    planRemoval: async () => {
      const keys = movedKeys(await context.facts());
      return keys.length === 0 ? [] : [`to the server’s disk: ${keys.join(', ')}, from the key server or your copy`];
    },
    takeAway: async ({ purge }) => {
      const facts = await context.facts();
      if (movedKeys(facts).length === 0) return [];
      const { fromCopy } = context;
      const copy = fromCopy === null ? null : { path: fromCopy, passphrase: await copyPassphrase('known') };
      const { files } = await restore(facts, { copy }, { occ, progress });
      const after = await context.facts();
      if (movedKeys(after).length > 0) {
        throw new LatchkeyError('keys_on_key_server', 'not every key came back to the server’s disk', {
          exit: 3,
          hint: 'nothing more was taken away; see: ncpatch restore --from-copy',
        });
      }
      const kept = purge ? '' : '; the key server keeps its own copies';
      return [`${counted(files)} opened with the keys on the disk${kept}`];
    },
  };
}

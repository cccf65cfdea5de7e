import { type Attack, control, Findings, skipped } from './attack.ts';
import { openKeyBlob } from './nextcloud-crypto.ts';
import { readStolenFile, secretOf } from './thief.ts';
import { openWithKeyfile } from './unsealed-vault.ts';

/** What people and installers use for secrets when they do not think, and what else is known of the instance. */
const guesses: readonly string[] = ['', 'secret', 'nextcloud', 'changeme', 'localhost', '0'.repeat(48)];

export const unsealedServerRow: Attack = {
  row: '10',
  attackerHas: 'the key server itself, unsealed, but not the Nextcloud server',
  stock: '-',
  latchkey: 'keys still encrypted under the instance secret: opens no file',
  run: async (scene) => {
    const obstacle = scene.obstacle();
    if (obstacle !== null) return skipped(obstacle);
    const { keyServer, keys, doors, now, instance } = await scene.nextcloud();
    const taken = (await openWithKeyfile(keyServer.data)).keys;
    const same = taken.size === keys.size && [...keys].every(([id, blob]) => taken.get(id)?.equals(blob) === true);
    control(same && taken.size > 0, 'the keys do not come out of the unsealed server');
    const right = secretOf(now);
    control(right !== null, 'config.php has no secret');
    const openAll = (secret: string): string[] =>
      [...taken].flatMap(([id, blob]) => {
        const uid = id.replace(/\.privateKey$/, '');
        return openKeyBlob(blob, { ...right, secret }, uid) ?? openKeyBlob(blob, { ...right, secret }, '') ?? [];
      });
    const { user } = instance.admin;
    const readable = (pems: readonly string[]): number =>
      [...doors.written].filter(([path, text]) => readStolenFile(now, user, path, pems)?.toString() === text).length;
    const withSecret = readable(openAll(right.secret));
    control(
      withSecret === doors.written.size,
      `with the secret only ${withSecret} of ${doors.written.size} files open`,
    );

    const found = new Findings();
    // even with a copy of the data directory beside the keys, whose share keys a secret would be needed for as well
    const opened = guesses.flatMap((secret) => openAll(secret));
    const read = readable(opened);
    found.expect(read === 0, `${read} files open without the secret`);
    const masters = [...taken.keys()].filter((id) => id.startsWith('master_'));
    const master = masters.some((id) =>
      guesses.some(
        (secret) => openKeyBlob(taken.get(id) ?? Buffer.alloc(0), { ...right, secret }, id.slice(0, -11)) !== null,
      ),
    );
    found.expect(masters.length > 0 && !master, 'the master key opens without the secret');
    return found.outcome(
      `${taken.size} keys taken: without the secret they open none of ${doors.written.size} files; with it, all`,
    );
  },
};

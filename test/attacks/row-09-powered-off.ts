import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemRandom } from '../../platform/clock.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { decodeBase32 } from '../keyserver/honest-client.ts';
import { type Attack, control, Findings } from './attack.ts';
import { holdsKey, keyId, startEnrolledServer } from './enrolled-server.ts';
import { type Needle, needlesOf } from './key-needles.ts';
import type { Thief } from './key-search.ts';
import { NeedleIndex } from './needle-index.ts';
import { filesBelow, placesOf, searchFiles } from './stolen-disk.ts';
import { openWithKeyfile } from './unsealed-vault.ts';

/** What of a private key in DER is secret: the rest of it is the public key, which lies open in ca.pem and audit.pub. */
function secretNumber(der: Buffer): Buffer {
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url');
}

function text(secret: string, value: string): Needle {
  return { secret, encoding: 'text', bytes: Buffer.from(value) };
}

export const poweredOffRow: Attack = {
  row: '9',
  attackerHas: "the key server's disk, powered off",
  stock: '-',
  latchkey: 'sealed vault: nothing without its passphrase or key file',
  run: async (scene) => {
    const made = await startEnrolledServer(scene);
    const { host, key, server, data, invitation } = made;
    const line = { port: made.port, agent: made.agent() };
    for (let turn = 0; turn < 3; turn++) {
      control(holdsKey(await host.exchange(line, [keyId]), key), 'nothing is released');
    }
    const { token, totpSecret, link } = host.credentials;
    await server.stop();

    const vault = await openWithKeyfile(data);
    const secrets = new Map([
      ...[...vault.server].map(([name, der]) => [name, secretNumber(der)] as const),
      ...vault.keys,
    ]);
    control(secrets.get(keyId)?.equals(key) === true && secrets.size >= 4, 'the disk does not hold what it should');
    const raw = (value: string): Buffer => Buffer.from(value, 'base64url');
    const needles = [
      ...[...secrets].flatMap(([name, bytes]) => needlesOf(name, bytes)),
      ...needlesOf('token', raw(token)),
      ...needlesOf('link', raw(link)),
      ...needlesOf('newest link', raw(host.state.current)),
      ...needlesOf('enrolment code', raw(invitation.code)),
      ...needlesOf('grant', raw(invitation.grant)),
      ...needlesOf('totp secret', decodeBase32(totpSecret)),
      text('totp secret', totpSecret),
    ];
    const thief: Thief = { needles: new NeedleIndex(needles), passwords: [''], instances: [], uids: [] };
    const planted = mkdtempSync(join(scene.folder, 'planted-'));
    for (const [name, bytes] of secrets) writeFileSync(join(planted, name), JSON.stringify(bytes.toString('base64')));
    writeFileSync(join(planted, 'client.json'), JSON.stringify({ token, totpSecret }));
    const control_ = new Set(searchFiles(filesBelow([planted]), thief, scene.folder).hits.map((hit) => hit.secret));
    control(control_.size === secrets.size + 2, 'the search does not find what lies there in clear');

    const found = new Findings();
    const search = searchFiles(filesBelow([data]), thief, scene.folder);
    control(search.files >= 5, `only ${search.files} files were looked at`);
    found.expect(search.hits.length === 0, `found in ${placesOf(search.hits, data)}`);
    const wrong = join(planted, 'wrong-keyfile');
    writeFileSync(wrong, systemRandom(32), { mode: 0o600 });
    const opened = await openWithKeyfile(data, wrong).catch((error: unknown) => error);
    found.expect(isLatchkeyError(opened, 'unseal_failed'), 'another key file opens the vault');
    return found.outcome(
      `${search.files} files, ${new Set(needles.map((needle) => needle.secret)).size} secrets in every encoding: none in clear; ` +
        'another key file opens nothing; the right one, kept elsewhere, opens all',
    );
  },
};

import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signClientRequest } from '../../keyserver/certificates/issuing.ts';
import { keyItem } from '../../keyserver/clients/client.ts';
import { addClient, changePolicy, findClient, type PolicyChange } from '../../keyserver/clients/client-admin.ts';
import { enrol } from '../../keyserver/clients/enrolment.ts';
import { type Config, newConfig } from '../../keyserver/config.ts';
import { createServerData } from '../../keyserver/server-data.ts';
import { loadAuthority } from '../../keyserver/server-secrets.ts';
import { openServerStore } from '../../keyserver/server-store.ts';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { createSecretFile } from '../../platform/files.ts';
import { isWithin } from '../../platform/listening/network.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { newRequest } from './certificate-request.ts';
import type { Credentials } from './honest-client.ts';
import { newTestDatabase } from './test-store.ts';

export const masterKeyId = 'master_0123abcd.privateKey';

export interface MadeServer {
  readonly data: string;
  readonly keyfile: string;
  readonly port: number;
  readonly ca: string;
  readonly clients: readonly Credentials[];
  readonly config: Config;
  /** Its database may be another server's from now on. */
  readonly giveUp: () => void;
}

export interface WantedServer {
  readonly clients: number;
  readonly policy?: PolicyChange;
  readonly basic?: boolean;
  /** What is kept as each client's key. */
  readonly key?: Buffer;
  readonly networks?: readonly string[];
  /** Enrols with certificates, which the clients must show from then on. */
  readonly certificates?: boolean;
}

/** A data directory with enrolled clients that have one key each, without a server process; TLS on a free loopback port. */
export async function makeServer(wanted: WantedServer): Promise<MadeServer> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-keyserver-'));
  const keyfile = join(folder, 'keyfile');
  createSecretFile(keyfile, systemRandom(32));
  const port = await freePort();
  const { database, giveUp } = await newTestDatabase(folder);
  const config = { ...newConfig({ host: '127.0.0.1', port }, [], 'tls'), database };
  const deps = { clock: systemClock, random: systemRandom };
  const method = keyfileMethod(keyfile);
  const data = join(folder, 'data');
  const { ca } = await createServerData(data, config, method, deps);
  const vault = await unsealVault(data, method, systemRandom);
  const store = await openServerStore(data, config, {});
  const authority = await store.read((tx) => loadAuthority(tx, vault));
  const clients: Credentials[] = [];
  const now = systemClock.now();
  const networks = wanted.networks ?? ['127.0.0.0/8'];
  const key = wanted.key ?? systemRandom(3400);
  for (let index = 0; index < wanted.clients; index++) {
    const name = `client-${index}`;
    const basic = wanted.basic === true;
    const invitation = await store.transaction(async (tx) => {
      const made = await addClient(tx, { name, networks, basic, escrow: true }, now, systemRandom);
      if (wanted.policy !== undefined) await changePolicy(tx, await findClient(tx, name), wanted.policy, now);
      return made;
    });
    const pair = wanted.certificates === true ? await newRequest() : null;
    const request = { code: Buffer.from(invitation.code, 'base64url'), ...(pair !== null && { csr: pair.csr }) };
    const enrolled = await enrol(request, '127.0.0.1', {
      ...deps,
      store,
      vault,
      ca,
      isAllowedSource: isWithin,
      signRequest: async (csr, client) => ({
        certificate: await signClientRequest(authority, csr, client, now, systemRandom),
        issuer: authority.serial,
      }),
    });
    const sealed = vault.seal(keyItem(enrolled.clientId, masterKeyId), key);
    await store.transaction((tx) =>
      tx
        .insertInto('stored_key')
        .values({ client_id: enrolled.clientId, key_id: masterKeyId, sealed, created_at: now })
        .execute(),
    );
    const { clientId, token, totpSecret, link } = enrolled;
    const held = pair === null ? {} : { certificate: { key: pair.key, certificate: enrolled.certificate ?? '' } };
    clients.push({ clientId, token, totpSecret, link, grant: invitation.grant, ...held });
  }
  await store.close();
  return { data, keyfile, port, ca, clients, config, giveUp };
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

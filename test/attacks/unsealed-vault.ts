import { databaseFile } from '../../keyserver/data-directory.ts';
import { type Database, migrations } from '../../keyserver/schema.ts';
import { systemRandom } from '../../platform/clock.ts';
import { openSqlite } from '../../platform/sqlite.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';

/** What a key server keeps sealed, as whoever has the disk and the key file together reads it; each by its id. */
export interface UnsealedVault {
  readonly server: ReadonlyMap<string, Buffer>;
  readonly keys: ReadonlyMap<string, Buffer>;
}

export async function openWithKeyfile(data: string, keyfile = `${data}.keyfile`): Promise<UnsealedVault> {
  const vault = await unsealVault(data, keyfileMethod(keyfile), systemRandom);
  const store = await openSqlite<Database>(databaseFile(data), { migrations });
  try {
    return await store.read(async (tx) => {
      const secrets = await tx.selectFrom('server_secret').selectAll().execute();
      const keys = await tx.selectFrom('stored_key').selectAll().execute();
      return {
        server: new Map(
          secrets.map(({ name, sealed }) => [
            name,
            vault.open({ kind: name, client: '', id: name, version: 1 }, sealed),
          ]),
        ),
        keys: new Map(
          keys.map(({ client_id: client, key_id: id, sealed }) => [
            id,
            vault.open({ kind: 'key', client, id, version: 1 }, sealed),
          ]),
        ),
      };
    });
  } finally {
    await store.close();
  }
}

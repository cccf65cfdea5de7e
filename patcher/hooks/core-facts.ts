import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isLatchkeyError } from '../../platform/errors.ts';
import type { CoreCover, CoreFile, Facts, HookName } from '../facts.ts';
import type { Instance } from '../targets/target.ts';
import { readSignedList } from '../vendor/vendor-signature.ts';
import { coverPaths } from './core-cover.ts';
import { changedByOthers } from './core-plan.ts';
import { patchFile, sha512, unpatchFile } from './file-patch.ts';
import { type HookDefinition, isMarked, readHook } from './hook-definition.ts';
import { isReadOnlyAt, parseMountTable } from './mount-table.ts';

type Refusal = CoreFile['refusal'];

const FILE_MAX_BYTES = 4 * 1024 * 1024;
const LIST_MAX_BYTES = 16 * 1024 * 1024;

/** Facts with what there is to know of the file that the hook `core` changes, where it is wanted or there. */
export async function withCore(instance: Instance, facts: Facts, asked: HookName | null, now: Date): Promise<Facts> {
  const hook = await readHook('core');
  const path = `${facts.root}/${hook.file}`;
  const isWanted = asked === 'core' || facts.hook === 'core';
  if (!isWanted && !(await mayBeMarked(instance, hook, path))) return facts;
  // the file, two megabytes of list, and a signature: only for who needs it
  const data = await instance.files.readFile(path, { max: FILE_MAX_BYTES });
  const marked = data !== null && isMarkedFile(hook, data);
  const signed = await signedHash(instance, facts, hook, now);
  const cover = await lookAtCover(instance, facts, path);
  const judged = judgeCore(hook, { path, data, signed, major: facts.version.major });
  const refusal = judged.refusal ?? cover.refusal;
  return { ...facts, core: { path, marked, ...judged, refusal, cover: cover.cover } };
}

async function mayBeMarked({ files }: Instance, hook: HookDefinition, path: string): Promise<boolean> {
  const marks = ['-e', hook.begin, '-e', hook.end];
  return (await files.run(['grep', '-qF', ...marks, '--', path])).exit === 0;
}

function isMarkedFile(hook: HookDefinition, data: Buffer): boolean {
  return data
    .toString('utf8')
    .split('\n')
    .some((line) => isMarked(line, hook.begin) || isMarked(line, hook.end));
}

/** Pure: what the file is, and what it becomes. `signed` is the vendor's hash of it, or why there is none. */
export function judgeCore(
  hook: HookDefinition,
  look: { path: string; data: Buffer | null; signed: string | NonNullable<Refusal>; major: number },
): Pick<CoreFile, 'state' | 'now' | 'signed' | 'hooked' | 'refusal'> {
  const { path, data, signed, major } = look;
  const other = { state: 'other', now: data && sha512(data), signed: null, hooked: null } as const;
  if (data === null) return { ...other, refusal: missing(path) };
  if (typeof signed !== 'string') return { ...other, refusal: signed };
  const now = sha512(data);
  const original = now === signed ? data : unpatchFile(hook, data);
  if (original === null) return { ...other, signed, refusal: unsigned(path) };
  if (sha512(original) !== signed) return { ...other, signed, refusal: changedByOthers(path) };
  try {
    const hooked = sha512(patchFile(hook, original, major));
    const state = now === signed ? 'stock' : now === hooked ? 'patched' : 'outdated';
    return { state, now, signed, hooked, refusal: null };
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    const { code, message, hint } = error;
    const state = now === signed ? 'stock' : 'outdated';
    return { state, now, signed, hooked: null, refusal: { code, message, hint: hint ?? '' } };
  }
}

/** The hash in the vendor's list, once the list is the vendor's and of the version that is there. */
async function signedHash(
  { files }: Instance,
  { root, version }: Facts,
  hook: HookDefinition,
  now: Date,
): Promise<string | NonNullable<Refusal>> {
  const read = (name: string): Promise<Buffer | null> => files.readFile(`${root}/${name}`, { max: LIST_MAX_BYTES });
  const [list, rootCrt, versionFile] = await Promise.all([
    read('core/signature.json'),
    read('resources/codesigning/root.crt'),
    read('version.php'),
  ]);
  if (list === null || rootCrt === null || versionFile === null) {
    return {
      code: 'core_not_signed',
      message: `${root} has no list of files that the vendor signed`,
      hint: 'only a release is changed, not a development tree: use --hook app',
    };
  }
  try {
    const { hashes } = readSignedList(list.toString('utf8'), { id: 'core', rootCrt: rootCrt.toString('utf8'), now });
    const hash = hashes.get(hook.file);
    if (hash !== undefined && hashes.get('version.php') === sha512(versionFile)) return hash;
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    return { code: error.code, message: error.message, hint: 'put back the files of the release, or use --hook app' };
  }
  return {
    code: 'core_not_signed',
    message: `the list that the vendor signed is not that of Nextcloud ${version.versionString}`,
    hint: 'see "ncpatch audit"; put back the files of the release',
  };
}

function missing(path: string): NonNullable<Refusal> {
  return { code: 'core_file_missing', message: `${path} is not there`, hint: 'put back the files of the release' };
}

function unsigned(path: string): NonNullable<Refusal> {
  return {
    code: 'core_file_unsigned',
    message: `${path} is not as the vendor signed it`,
    hint: 'put back the file of the release, or use --hook app',
  };
}

async function lookAtCover(
  instance: Instance,
  facts: Facts,
  path: string,
): Promise<{ cover: CoreCover | null; refusal: Refusal }> {
  const { files: transport, machine } = instance;
  const real = (await transport.realPath(path)) ?? path;
  const mounts = await transport.run(['cat', '/proc/self/mountinfo']);
  if (!isReadOnlyAt(parseMountTable(mounts.stdout.toString('utf8')), real)) return { cover: null, refusal: null };
  const refusal: Refusal = {
    code: 'core_read_only',
    message: `${path} lies on a file system that cannot be written`,
    hint: 'only a snap on a machine with systemd can have a changed copy mounted over it: use --hook app',
  };
  if (transport !== machine || facts.scheduler !== 'systemd') return { cover: null, refusal };
  const found = await Promise.all(
    coverPaths(facts.instanceId).map(async (name) => [name, await machine.readFile(name, { max: 65_536 })] as const),
  );
  const names = (await machine.list('/etc/systemd/system'))?.map(({ name }) => name) ?? [];
  return {
    cover: {
      files: Object.fromEntries(
        found.flatMap(([name, data]) => (data === null ? [] : [[name, data.toString('utf8')]])),
      ),
      before: names.filter((name) => /^snap\.nextcloud\.[\w-]+\.service$/.test(name)),
      script: await readFile(join(import.meta.dirname, 'cover.sh'), 'utf8'),
    },
    refusal: null,
  };
}

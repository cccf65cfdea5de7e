import { commandWords, wholePath } from '../../platform/service-text.ts';
import { STATE_PARENT } from '../facts.ts';

/** What mounts the changed copy of a file that cannot be written. */
export interface CoverPlan {
  readonly instanceId: string;
  /** The file below the copy, by a path that leads to it in every revision. */
  readonly path: string;
  /** Units that must find the copy in place. */
  readonly before: readonly string[];
  /** SHA-512 of the original that the copy is made from. */
  readonly signed: string;
  /** Text of `cover.sh`. */
  readonly script: string;
}

const SYSTEMD = '/etc/systemd/system';

export function coverFolder(instanceId: string): string {
  return `${STATE_PARENT}/core-${instanceId}`;
}

/** Units that run from now on and at boot: what mounts, and what does it again when the path leads elsewhere. */
export function coverUnits(instanceId: string): readonly string[] {
  return [`latchkey-core-${instanceId}.service`, `latchkey-core-${instanceId}.path`];
}

function paths(instanceId: string): Record<'script' | 'hash' | 'service' | 'again' | 'path', string> {
  const folder = coverFolder(instanceId);
  return {
    script: `${folder}/cover.sh`,
    hash: `${folder}/original.sha512`,
    service: `${SYSTEMD}/latchkey-core-${instanceId}.service`,
    again: `${SYSTEMD}/latchkey-core-again-${instanceId}.service`,
    path: `${SYSTEMD}/latchkey-core-${instanceId}.path`,
  };
}

/** The small files of a cover, without the copy itself. */
export function coverPaths(instanceId: string): readonly string[] {
  return Object.values(paths(instanceId));
}

/** Pure: those files as they are to be. */
export function coverFilesFor(plan: CoverPlan): Record<string, string> {
  const { script, hash, service, again, path } = paths(plan.instanceId);
  const command = (order: string): string =>
    commandWords(['/bin/sh', script, order, coverFolder(plan.instanceId), plan.path]);
  return {
    [script]: plan.script,
    [hash]: `${plan.signed}\n`,
    [service]: serviceUnit(plan, command),
    [again]: againUnit(plan, command),
    [path]: pathUnit(plan),
  };
}

/** Before everything that reads the file, and after what mounts the squashfs it lies in. */
function serviceUnit({ instanceId, before }: CoverPlan, command: (order: string) => string): string {
  return `# written by ncpatch; "ncpatch remove" takes it away
[Unit]
Description=Latchkey hook in the code of the Nextcloud ${instanceId}
DefaultDependencies=no
After=local-fs.target snapd.mounts.target
Conflicts=umount.target
Before=${['umount.target', ...before].join(' ')}
ConditionPathExists=${wholePath(`${coverFolder(instanceId)}/copy`)}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${command('cover')}
ExecStop=${command('uncover')}
TimeoutSec=60

[Install]
WantedBy=multi-user.target
`;
}

/** The first service stays active once it has run, so that a path could not start it a second time. */
function againUnit({ instanceId }: CoverPlan, command: (order: string) => string): string {
  return `# written by ncpatch; "ncpatch remove" takes it away
[Unit]
Description=Latchkey hook in the code of the Nextcloud ${instanceId}, after it was replaced

[Service]
Type=oneshot
ExecStart=${command('cover')}
TimeoutSec=60
`;
}

/** A refresh of a snap is a link that leads elsewhere: what was covered is left at once, and the new file looked at. */
function pathUnit({ instanceId, path }: CoverPlan): string {
  const link = /^(.*\/current)\//.exec(path)?.[1] ?? path;
  return `# written by ncpatch; "ncpatch remove" takes it away
[Unit]
Description=Latchkey looks whether the code of the Nextcloud ${instanceId} is another

[Path]
PathChanged=${wholePath(link)}
Unit=latchkey-core-again-${instanceId}.service

[Install]
WantedBy=multi-user.target
`;
}

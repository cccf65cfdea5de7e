import { day, hour, type Kinds } from './alert-kind.ts';
import { when } from './alert-words.ts';

/** How this server itself is. */
export const serverKinds: Pick<
  Kinds,
  'certificate_expiring' | 'degraded' | 'server_started' | 'backup_failed' | 'audit_broken'
> = {
  certificate_expiring: {
    severity: ({ purpose }) => (purpose === 'client' ? 'info' : 'warning'),
    same: ({ purpose }) => ({ cause: purpose, quiet: day }),
    texts: ({ client, purpose, endsAt }) => ({
      title: `the certificate of ${certificateOwner(purpose, client)} ends soon`,
      happened: `It is good until ${when(endsAt)}.`,
      done: 'Nothing is stopped until then.',
      todo:
        purpose === 'ca'
          ? 'Replace it while it still holds, so that clients take up the new one by themselves: keyserver cert rollover begin'
          : purpose === 'server'
            ? 'It should have been replaced by itself: keyserver doctor tells why not.'
            : 'The client renews it by itself while it can reach this server: check that it does.',
    }),
  },
  degraded: {
    severity: ({ until }) => (until === null ? 'critical' : 'info'),
    same: ({ until }) => (until === null ? { cause: '', quiet: hour } : null),
    texts: ({ since, until }) =>
      until === null
        ? {
            title: 'the key server cannot write its records',
            happened: `Since ${when(since)} nothing can be written to the database: the disk is full, read-only or broken, or the file was deleted or replaced.`,
            done: 'Nothing is released: what cannot be recorded is not done. This message could not be kept for later either.',
            todo: 'Free some space or repair the disk, then: keyserver doctor. After a deleted or replaced file, restart the server.',
          }
        : {
            title: 'the key server can write its records again',
            happened: `From ${when(since)} to ${when(until)} nothing could be written to the database.`,
            done: 'Keys are released again.',
            todo: 'Find out why it happened: keyserver doctor',
          },
  },
  server_started: {
    severity: () => 'warning',
    same: () => null,
    texts: ({ startedAt, aliveAt }) => ({
      title: 'the key server started after it had not been stopped in order',
      happened: `It last ran for sure at ${when(aliveAt)} and started at ${when(startedAt)}: a crash, a power cut, or a kill.`,
      done: 'It serves again; whatever had been answered before is on record.',
      todo: 'If the power failed, nothing. If not, look at the log of the service.',
    }),
  },
  backup_failed: {
    severity: () => 'warning',
    same: ({ reason }) => ({ cause: reason, quiet: day }),
    texts: ({ reason, lastGood }) => ({
      title: 'a backup failed',
      happened: `${reason}. The last good one was made at ${when(lastGood)}.`,
      done: 'It is tried again at the next time set.',
      todo: 'Check the place the backup goes to.',
    }),
  },
  audit_broken: {
    severity: () => 'critical',
    same: ({ record }) => ({ cause: String(record), quiet: day }),
    texts: ({ record, reason }) => ({
      title: 'the audit log was changed after it was written',
      happened: `Record ${record}: ${reason}.`,
      done: 'Nothing was stopped, and records go on behind it.',
      todo: 'keyserver kill, copy the data directory for a closer look, and compare it with your backups: whoever can change the database can do more.',
    }),
  },
};

function certificateOwner(purpose: 'ca' | 'server' | 'client', owner: { name: string } | null): string {
  if (purpose === 'ca') return "this server's authority";
  return purpose === 'server' ? 'this server' : (owner?.name ?? 'a client');
}

import type { Attack } from './attack.ts';
import { diskCopyRow } from './row-01-disk-copy.ts';
import { sessionRow } from './row-02-session.ts';
import { logRow } from './row-02b-log.ts';
import { elsewhereRow } from './row-03-elsewhere.ts';
import { sameCredentialsRow } from './row-04-same-credentials.ts';
import { movedServerRow } from './row-05-moved-server.ts';
import { recordingRow } from './row-06-recording.ts';
import { guessingRow } from './row-07-guessing.ts';
import { oldBackupRow } from './row-08-old-backup.ts';
import { poweredOffRow } from './row-09-powered-off.ts';
import { unsealedServerRow } from './row-10-unsealed-server.ts';
import { changedCodeRow } from './row-11-changed-code.ts';
import { auditLogRow } from './row-12-audit-log.ts';
import { worstMomentRow } from './row-13-worst-moment.ts';
import { rootRow } from './row-14-root.ts';

/** In the order of the table in SECURITY.md. */
export const attacks: readonly Attack[] = [
  diskCopyRow,
  sessionRow,
  logRow,
  elsewhereRow,
  sameCredentialsRow,
  movedServerRow,
  recordingRow,
  guessingRow,
  oldBackupRow,
  poweredOffRow,
  unsealedServerRow,
  changedCodeRow,
  auditLogRow,
  worstMomentRow,
  rootRow,
];

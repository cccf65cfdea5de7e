import type { Attack } from './attack.ts';
import { elsewhereRow } from './row-03-elsewhere.ts';
import { recordingRow } from './row-06-recording.ts';
import { guessingRow } from './row-07-guessing.ts';
import { auditLogRow } from './row-12-audit-log.ts';
import { worstMomentRow } from './row-13-worst-moment.ts';

/** In the order of the table in SECURITY.md. */
export const attacks: readonly Attack[] = [elsewhereRow, recordingRow, guessingRow, auditLogRow, worstMomentRow];

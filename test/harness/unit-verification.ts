import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { run } from '../../platform/run.ts';

/** What `systemd-analyze verify` says of unit files (path to text), all together: its exit code, and what it complains about. */
export async function verifyUnits(units: Readonly<Record<string, string>>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'lk-units-'));
  try {
    const paths = Object.entries(units).map(([path, text]) => {
      writeFileSync(join(folder, basename(path)), text);
      return join(folder, basename(path));
    });
    const { exit, stderr } = await run(['systemd-analyze', 'verify', '--man=no', ...paths], {
      timeoutMs: 30_000,
      allowExit: 'any',
    });
    return `${exit} ${stderr}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

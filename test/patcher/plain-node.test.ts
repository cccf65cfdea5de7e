import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** The test runner resolves names of CommonJS packages that Node itself does not, so Node is asked. */
test.each(['transports/ssh-transport.ts', 'transports/local-transport.ts', 'journal/journal.ts'])(
  '%s is imported by Node as it stands, and does nothing then',
  (file) => {
    const path = join(import.meta.dirname, '..', '..', 'patcher', file);
    const script = `await import(${JSON.stringify(path)})`;
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(printed).toBe('');
  },
);

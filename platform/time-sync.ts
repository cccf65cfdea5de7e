import { isLatchkeyError } from './errors.ts';
import { run } from './run.ts';

/** Whether the system keeps its clock by NTP; `unknown` where nobody can be asked. */
export type TimeSync = 'yes' | 'no' | 'unknown';

/**
 * Asks systemd, whoever does the keeping (timesyncd, chrony, ntpd: they tell the kernel, and the kernel systemd). On other
 * systems there is nobody to ask without more rights than this program has.
 */
export async function readTimeSync(program = 'timedatectl'): Promise<TimeSync> {
  try {
    const { stdout } = await run([program, 'show', '--property=NTPSynchronized', '--value'], {
      timeoutMs: 3_000,
      maxBytes: 4096,
    });
    const answer = stdout.toString('latin1').trim();
    return answer === 'yes' || answer === 'no' ? answer : 'unknown';
  } catch (error) {
    if (isLatchkeyError(error)) return 'unknown';
    throw error;
  }
}

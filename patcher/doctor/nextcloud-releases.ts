/**
 * Until when each major release of Nextcloud gets fixes: one year each, as the release schedule says
 * (https://docs.nextcloud.com/server/stable/admin_manual/release_schedule.html, with the dates in
 * https://github.com/nextcloud/server/wiki/Maintenance-and-Release-Schedule). Looked up 2026-11-20; those of 34 and 35
 * are a year after they came out.
 */
export const SUPPORTED_UNTIL: Readonly<Record<number, string>> = {
  32: '2026-09-30',
  33: '2027-02-28',
  34: '2027-06-30',
  35: '2027-09-30',
};

/** The oldest major in the list; what is older has ended before. */
const OLDEST = Math.min(...Object.keys(SUPPORTED_UNTIL).map(Number));

/** `ended` without a date for what is older than the list, `null` for what is newer than it. */
export function supportOf(major: number): { readonly until: number | null } | null {
  const day = SUPPORTED_UNTIL[major];
  if (day !== undefined) return { until: Date.parse(`${day}T23:59:59Z`) };
  return major < OLDEST ? { until: null } : null;
}

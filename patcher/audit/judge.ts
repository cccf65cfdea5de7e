import { judgeApps } from './apps-part.ts';
import { openCase } from './case.ts';
import { judgeCore } from './core-part.ts';
import type { Evidence } from './evidence.ts';
import { Notebook } from './notebook.ts';
import { judgeOddEntries } from './odd-entries.ts';
import { judgeOpenPlaces } from './open-places.ts';
import { judgeSettings } from './settings-part.ts';
import type { Seen, Verdict } from './verdict.ts';

/** Pure: what of all this is not as it was made, and what only a later audit can judge. */
export function judge(evidence: Evidence): { readonly verdict: Verdict; readonly seen: Seen } {
  const notes = new Notebook();
  const about = openCase(evidence, notes);
  judgeCore(about);
  judgeApps(about);
  judgeOpenPlaces(about);
  judgeSettings(about);
  judgeOddEntries(about);
  const { tree, appsPaths, config } = evidence;
  const all = [
    tree,
    ...appsPaths.flatMap(({ listing }) => listing ?? []),
    ...(config?.listing ? [config.listing] : []),
  ];
  return {
    verdict: {
      findings: notes.findings,
      remarks: notes.remarks,
      version: about.version?.versionString ?? null,
      verified: notes.verified,
      files: all.reduce((sum, { files }) => sum + files.size, 0),
    },
    seen: { open: notes.open, core: notes.core, apps: notes.apps, revocations: about.revocations?.pem ?? null },
  };
}

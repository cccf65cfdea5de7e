import type { AppFiles, AppState, Enrolment } from '../facts.ts';

/**
 * Pure: how far the app has come. An enrolment outlives the app's files and its being switched off (an upgrade does both),
 * but what cannot run is not called enrolled: the plan has to see what is missing first.
 */
export function appStateOf(app: {
  readonly enabled: boolean;
  readonly installedVersion: string | null;
  readonly files: AppFiles | null;
  readonly enrolment: Enrolment | null;
}): AppState {
  const { enabled, installedVersion, files, enrolment } = app;
  if (files === null) return 'absent';
  if (!enabled) return 'disabled';
  if (files.version !== installedVersion) return 'old';
  if (enrolment === null) return 'enabled';
  return enrolment.keys.length > 0 ? 'escrowed' : 'enrolled';
}

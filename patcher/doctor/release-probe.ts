import * as z from 'zod';
import { isLatchkeyError } from '../../platform/errors.ts';
import { type AppStatus, type Preflight, remoteKey } from '../keys/remote-key.ts';
import { occJson } from '../occ.ts';
import type { Patient } from './patient.ts';
import type { Answer, ReleaseEvidence } from './release.ts';

const encryptionSchema = z.looseObject({ enabled: z.boolean(), defaultModule: z.string().optional() });

/** Asks the app, and unless told otherwise the key server for a real release. One after the other: each starts a PHP. */
export async function probeRelease(patient: Patient, askKeyServer: boolean): Promise<ReleaseEvidence> {
  const { occ, facts, keysAway } = patient;
  const nothing = { status: null, released: null, look: null, encryption: null };
  if (occ === null || facts === null) return { ...nothing, facts, keysAway, asked: askKeyServer };
  const encryption = await answer(() => occJson(occ, ['encryption:status'], encryptionSchema));
  if (!facts.app.enabled || facts.app.files === null)
    return { ...nothing, facts, keysAway, asked: askKeyServer, encryption };
  const app = remoteKey(occ);
  const status = await answer<AppStatus>(() => app.status());
  const wanted = askKeyServer && (keysAway?.length ?? 0) > 0;
  const released = wanted ? await answer(() => app.verify()) : null;
  // its test files are read with the key server's key once that has moved
  const mayLook = facts.encryption.mode !== 'off' && (askKeyServer || (keysAway?.length ?? 0) === 0);
  const look = mayLook ? await answer<Preflight>(() => app.preflight()) : null;
  return { facts, keysAway, asked: askKeyServer, status, released, look, encryption };
}

async function answer<T>(ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await ask(), error: null };
  } catch (error) {
    if (!isLatchkeyError(error) || error.code === 'connection_lost') throw error;
    return { value: null, error };
  }
}

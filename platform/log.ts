import { type DestinationStream, destination as fileDestination, type Logger, pino } from 'pino';

export type Log = Logger;

/** Field names that never reach the log, at the top and one level down; deeper objects are not to be logged at all. */
const secretFields = [
  'token',
  'code',
  'grant',
  'link',
  'next',
  'totp',
  'totpSecret',
  'key',
  'keys',
  'passphrase',
  'password',
];

/** Events as JSON lines on stderr (or on `destination`): constant message, past tense, fields with ids and fingerprints only. */
export function createLog(options: { readonly level: string; readonly destination?: DestinationStream }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '[hidden]' },
    },
    options.destination ?? fileDestination({ dest: 2, sync: true }),
  );
}

import * as z from 'zod';
import type { HubWatch } from './hub-watch.ts';

const interfaceSchema = z.object({
  name: z.string(),
  driver: z.string(),
  /** Milliseconds since 1970. */
  lookedAt: z.number(),
  /** False when the interface could not be asked at the last look. */
  isUp: z.boolean(),
  /** What runs, at the last look; `null` when it is down. */
  listenPort: z.number().nullable(),
  livePeers: z.number().nullable(),
  comparison: z
    .object({
      at: z.number(),
      outcome: z.enum(['settled', 'changed', 'rebuilt']),
      changed: z.number(),
      foreign: z.array(z.string()),
    })
    .nullable(),
});

const reportSchema = z.object({ pid: z.number(), interfaces: z.array(interfaceSchema) });

/** What a running hub sees, which is in no store: no secret is in it. */
export type HubReport = z.infer<typeof reportSchema>;
export type InterfaceReport = z.infer<typeof interfaceSchema>;

/** More of them are counted, and told of by `wghub doctor`. */
const MOST_FOREIGN = 1000;

/** What the watches of a hub saw last. */
export function hubReport(watches: Iterable<HubWatch>): HubReport {
  return { pid: process.pid, interfaces: [...watches].map(interfaceReport) };
}

function interfaceReport({ hub, last, comparison, comparedAt }: HubWatch): InterfaceReport {
  const { live } = last;
  return {
    name: hub.facts.name,
    driver: hub.driver.name,
    lookedAt: last.at,
    isUp: live !== null,
    listenPort: live?.listenPort ?? null,
    livePeers: live?.peers.size ?? null,
    comparison:
      comparison === null || comparedAt === null
        ? null
        : {
            at: comparedAt,
            outcome: comparison.outcome,
            changed: comparison.changed,
            foreign: comparison.foreign.slice(0, MOST_FOREIGN),
          },
  };
}

/** The report of a hub that was asked; `null` for an answer that is none. */
export function readReport(answer: unknown): HubReport | null {
  const read = reportSchema.safeParse(answer);
  return read.success ? read.data : null;
}

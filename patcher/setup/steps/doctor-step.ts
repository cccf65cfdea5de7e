import { examine, tally } from '../../doctor/examination.ts';
import { pageLines } from '../../doctor/page.ts';
import { admit } from '../../doctor/patient.ts';
import type { SetupContext, SetupStep } from '../setup-step.ts';

/** What the last look of a setup found. */
export interface DoctorVerdict {
  readonly bad: number;
  readonly warn: number;
  /** Keys cannot be used as they should be: the setup has not come to what it is for. */
  readonly keysFail: boolean;
  /** What is bad besides, such as sessions from before the move, a line each with its mending. */
  readonly todo: readonly string[];
}

/** Of its page, which is shown below the step. */
const WIDTH = 76;

/** A look at all that the keys depend on; `tell` has its verdict. */
export function doctorStep(context: SetupContext, tell: (verdict: DoctorVerdict) => void): SetupStep {
  const { nextcloud, app, now, progress } = context;
  return {
    name: 'doctor',
    title: 'look at all that the keys depend on',
    needs: [],
    look: async () => ({ state: 'missing' }),
    plan: async () => ['nothing is changed by it'],
    carryOut: async () => {
      // the timer sends the first one within a minute, and this look comes before
      if ((await context.facts()).enrolment !== null) await nextcloud.instance.occ(['remotekey:heartbeat']);
      const patient = await admit(nextcloud.instance, context.facts);
      const reports = await examine(patient, { app, now, progress, askKeyServer: true });
      const { bad, warn } = tally(reports);
      const findings = reports.flatMap(({ group, findings: all }) => all.map((one) => ({ group, ...one })));
      const worst = findings.filter(({ level }) => level === 'bad');
      tell({
        ...{ bad, warn },
        keysFail: worst.some(({ group }) => group === 'release'),
        todo: worst.map(({ what, fix }) => (fix === null ? what : `${what}: ${fix}`)),
      });
      return pageLines(reports, { colour: false, heading: [], width: WIDTH });
    },
    undo: async () => [],
    planRemoval: async () => [],
    takeAway: async () => [],
  };
}

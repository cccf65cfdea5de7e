import { describe, expect, it } from 'vitest';
import { VitestReport } from './vitest-report.ts';

const test = (status: string, fullName = status) => ({ status, fullName });
const first = JSON.stringify({
  testResults: [
    { name: '/a', status: 'passed', assertionResults: [test('passed'), test('pending'), test('todo')] },
    { name: '/b', status: 'failed', assertionResults: [test('failed', 'one'), test('passed')] },
    { name: '/c', status: 'failed', assertionResults: [] },
  ],
});

describe('the report of a run', () => {
  it('counts a file that did not load as a failure, and names it', () => {
    const report = VitestReport.read(first);
    expect(report.count()).toEqual({ passed: 2, failed: 2, skipped: 2 });
    expect(report.failedFiles()).toEqual(['/b', '/c']);
    expect(report.failures()).toEqual(['/b: one', '/c: it could not be run']);
  });

  it('takes what was run again by its second run alone', () => {
    const again = new VitestReport([
      { name: '/b', status: 'passed', assertionResults: [test('passed'), test('passed')] },
      { name: '/c', status: 'failed', assertionResults: [test('failed', 'still')] },
    ]);
    const whole = VitestReport.read(first).with(again);
    expect(whole.count()).toEqual({ passed: 3, failed: 1, skipped: 2 });
    expect(whole.failures()).toEqual(['/c: still']);
  });
});

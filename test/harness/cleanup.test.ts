import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Cleanup } from './cleanup.ts';

describe('Cleanup', () => {
  it('goes on when a step fails, and tells which one', async () => {
    const cleanup = new Cleanup();
    const done: string[] = [];
    cleanup.add('first', () => void done.push('first'));
    cleanup.add('second', () => Promise.reject(new Error('is busy')));
    cleanup.add('third', () => void done.push('third'));
    expect(await cleanup.run()).toEqual(['second: is busy']);
    expect(done).toEqual(['third', 'first']);
  });

  it('runs each step once, also when it is asked twice at the same time', async () => {
    const cleanup = new Cleanup();
    let runs = 0;
    cleanup.add('slow', async () => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      runs += 1;
    });
    await Promise.all([cleanup.run(), cleanup.run()]);
    await cleanup.run();
    expect(runs).toBe(1);
  });

  it('takes its signal handlers away again', () => {
    const signals = new EventEmitter();
    const unguard = new Cleanup().guard(signals);
    expect(signals.eventNames()).toEqual(['SIGINT', 'SIGTERM', 'SIGHUP']);
    unguard();
    expect(signals.eventNames()).toEqual([]);
  });

  it('undoes what was added after a run that had nothing to do', async () => {
    const cleanup = new Cleanup();
    await cleanup.run();
    let undone = 0;
    cleanup.add('late', () => {
      undone += 1;
    });
    await cleanup.run();
    expect(undone).toBe(1);
  });
});

import { afterAll, describe, expect, it } from 'vitest';
import { playAttack } from './play.ts';
import { attacks } from './rows.ts';
import { Scene } from './scene.ts';

const scene = new Scene();
const unguard = scene.cleanup.guard();
afterAll(async () => {
  expect(await scene.close()).toEqual([]);
  unguard();
}, 60_000);

/** Each row tells by itself why it cannot be played here. */
describe('an attacker does not get the key', () => {
  it.for(attacks)('row $row: $attackerHas', { timeout: 600_000 }, async (attack, { skip }) => {
    const { outcome, evidence } = await playAttack(attack, scene);
    if (outcome === 'skipped') skip(evidence);
    expect(`${outcome}: ${evidence}`).toMatch(/^(?:withstood|gets-the-key): /);
  });
});

import { isLatchkeyError } from '../../platform/errors.ts';
import type { Attack, Outcome } from './attack.ts';
import { Scene } from './scene.ts';

export interface AttackResult extends Outcome {
  readonly row: string;
  readonly attackerHas: string;
  readonly stock: string;
  readonly latchkey: string;
  readonly ms: number;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = isLatchkeyError(error) ? error.extra?.said : undefined;
  return typeof said === 'string' ? `${error.message}: ${said}` : error.message;
}

/** Plays one attack. One that cannot be played to its end counts as fallen: it proved nothing. */
export async function playAttack(attack: Attack, scene: Scene): Promise<AttackResult> {
  const { row, attackerHas, stock, latchkey } = attack;
  const began = performance.now();
  const outcome = await attack.run(scene).catch((error: unknown): Outcome => {
    return { outcome: 'fell', evidence: `could not be played: ${wordsOf(error)}` };
  });
  await scene.endRow();
  return { row, attackerHas, stock, latchkey, ...outcome, ms: Math.round(performance.now() - began) };
}

/** Plays them one after the other; `left` is what could not be cleaned up. */
export async function playAttacks(
  attacks: readonly Attack[],
  say: (line: string) => void,
): Promise<{ readonly results: readonly AttackResult[]; readonly left: readonly string[] }> {
  const scene = new Scene(say);
  const unguard = scene.cleanup.guard();
  const results: AttackResult[] = [];
  let left: readonly string[] = [];
  try {
    for (const attack of attacks) {
      const result = await playAttack(attack, scene);
      say(`${result.outcome.padEnd(12)} ${(result.ms / 1000).toFixed(1).padStart(6)} s  row ${result.row}`);
      results.push(result);
    }
  } finally {
    left = await scene.close();
    unguard();
  }
  return { results, left };
}

import { type Attack, control, Findings, skipped } from './attack.ts';
import { searchBytes } from './key-search.ts';
import { thiefWith } from './row-01-disk-copy.ts';

export const logRow: Attack = {
  row: '2b',
  attackerHas: "Nextcloud's log after a failed decryption",
  stock: 'may hold the whole private key',
  latchkey: 'nothing',
  run: async (scene) => {
    const obstacle = scene.obstacle();
    if (obstacle !== null) return skipped(obstacle);
    const stage = await scene.nextcloud();
    const thief = thiefWith(stage);
    const failed = (log: string): number => log.split('\n').filter((line) => line.includes('MultiKeyDecrypt')).length;
    const before = searchBytes(Buffer.from(stage.logs.before), thief);
    control(before.length > 0, 'the failed decryption of a stock instance does not put the key into the log');
    control(failed(stage.logs.after) > 0, 'after the move no decryption failed as it did before');
    const found = new Findings();
    const listed = stage.findings.some((finding) => finding.kind === 'log');
    found.expect(listed, 'the move did not tell the owner that the old log holds the key');
    const after = searchBytes(Buffer.from(stage.logs.after), thief);
    found.expect(after.length === 0, `the log holds it: ${after[0]?.way ?? ''}`);
    return found.outcome(
      `${failed(stage.logs.after)} failures logged with arguments on, by ${stage.failedDoors} doors: no key. ` +
        `Stock: the log holds it (${before[0]?.way ?? ''})`,
    );
  },
};

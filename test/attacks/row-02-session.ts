import { join } from 'node:path';
import { type Attack, control, Findings, skipped } from './attack.ts';
import { thiefWith } from './row-01-disk-copy.ts';
import { filesBelow, placesOf, searchFiles } from './stolen-disk.ts';

export const sessionRow: Attack = {
  row: '2',
  attackerHas: "that disk, with session files and one user's cookie",
  stock: 'has the master key',
  latchkey: 'nothing: the hook keeps the key out of sessions',
  run: async (scene) => {
    const obstacle = scene.obstacle();
    if (obstacle !== null) return skipped(obstacle);
    const stage = await scene.nextcloud();
    const { before, cookies, instance, findings } = stage;
    const thief = thiefWith(stage, [cookies.before, cookies.after]);
    control(cookies.before !== '' && cookies.after !== '', 'the user got no session cookie');
    const stolen = searchFiles(filesBelow([join(before.folder, 'sessions')]), thief, scene.folder);
    control(stolen.hits.length > 0, 'the session of a stock instance does not hold the key');
    const without = searchFiles(filesBelow([join(before.folder, 'sessions')]), thiefWith(stage), scene.folder);
    control(without.hits.length === 0, 'sessions open without a cookie');

    const found = new Findings();
    const listed = findings.some((finding) => finding.kind === 'sessions');
    found.expect(listed, 'the move did not tell the owner that old sessions hold the key');
    const sessions = [...filesBelow([join(instance.base, 'sessions')])];
    control(sessions.length > 0, 'there are no sessions after the move');
    const now = searchFiles(sessions, thief, scene.folder);
    found.expect(now.hits.length === 0, `found in ${placesOf(now.hits, instance.base)}`);
    return found.outcome(
      `${sessions.length} sessions, one user's cookies from before and after: no key. Stock: that cookie opens ` +
        placesOf(stolen.hits, before.folder),
    );
  },
};

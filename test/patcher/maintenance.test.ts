import { describe, expect, test } from 'vitest';
import type { ActionContext, Occ, Originals, UndoRecord } from '../../patcher/actions/action.ts';
import { closeWeb, maintenanceUndoer, openWeb } from '../../patcher/actions/maintenance.ts';
import type { Transport } from '../../patcher/transports/transport.ts';

const APP = 'remotekeystorage';
const originals = {} as Originals;

/** A Nextcloud, as far as maintenance mode goes. */
class PretendSite {
  closed = false;
  enabled = true;
  hasFiles = true;
  readonly calls: string[] = [];

  readonly #occ: Occ = async (args) => {
    const name = args.join(' ');
    this.calls.push(name);
    const answer = (exit: number, stdout = '') => ({ exit, stdout: Buffer.from(stdout), stderr: '' });
    switch (name) {
      case 'config:system:get maintenance':
        return answer(0, `${this.closed}\n`);
      case 'maintenance:mode --on':
      case 'maintenance:mode --off':
        this.closed = name.endsWith('--on');
        return answer(0);
      case `config:app:get ${APP} enabled`:
        return answer(0, this.enabled ? 'yes\n' : 'no\n');
      case `app:getpath ${APP}`:
        return answer(this.hasFiles ? 0 : 1);
      default:
        throw new Error(`not expected: occ ${name}`);
    }
  };
  readonly #run: Transport['run'] = async (argv) => {
    this.calls.push(argv.join(' '));
    return { exit: 0, stdout: Buffer.alloc(0), stderr: '' };
  };
  readonly #transport = { run: this.#run } as Transport;
  readonly context: ActionContext = { transport: this.#transport, machine: this.#transport, occ: this.#occ };
}

async function perform(site: PretendSite, action: ReturnType<typeof closeWeb>): Promise<UndoRecord | null> {
  const undo = await action.prepare(site.context, originals);
  if (undo !== null) await action.do(site.context, undo);
  return undo;
}

describe('maintenance mode around a repair', () => {
  test('lets caches of the web server run out after closing and before opening', async () => {
    const site = new PretendSite();
    await perform(site, closeWeb(APP));
    expect(site.closed).toBe(true);
    expect(site.calls.slice(-2)).toEqual(['maintenance:mode --on', 'sleep 4']);
    await perform(site, openWeb(APP));
    expect(site.closed).toBe(false);
    expect(site.calls.slice(-2)).toEqual(['sleep 4', 'maintenance:mode --off']);
  });

  test('that somebody else has switched on is no step of ours', async () => {
    const site = new PretendSite();
    site.closed = true;
    expect(await perform(site, closeWeb(APP))).toBeNull();
  });

  test('ends with a rollback that put back an app that works', async () => {
    const site = new PretendSite();
    const undo = await perform(site, closeWeb(APP));
    expect(await maintenanceUndoer.undo(site.context, undo ?? {}, originals)).toBeNull();
    expect(site.closed).toBe(false);
  });

  test.each([
    ['switched off', { enabled: false }],
    ['without files', { hasFiles: false }],
  ])('stays after a rollback to an app that is %s, and the reason is told', async (_, state) => {
    const site = new PretendSite();
    const undo = await perform(site, closeWeb(APP));
    Object.assign(site, state);
    expect(await maintenanceUndoer.undo(site.context, undo ?? {}, originals)).toContain('ncpatch apply');
    expect(site.closed).toBe(true);
  });

  test('is back when what opened it is undone, and is left alone when somebody ended it meanwhile', async () => {
    const site = new PretendSite();
    const closing = await perform(site, closeWeb(APP));
    const opening = await perform(site, openWeb(APP));
    expect(await maintenanceUndoer.undo(site.context, opening ?? {}, originals)).toBeNull();
    expect(site.closed).toBe(true);
    site.closed = false;
    site.enabled = false;
    expect(await maintenanceUndoer.undo(site.context, closing ?? {}, originals)).toBeNull();
  });
});

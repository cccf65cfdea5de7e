import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agree } from '../../../patcher/setup/agree.ts';
import { adoptOnce, KnownFile, memoryOf } from '../../../patcher/setup/client-memory.ts';
import { doubtOf } from '../../../patcher/setup/key-server/own-client.ts';
import { parseSetup } from '../../../patcher/setup/setup-config.ts';
import { RecordFile, type SetupRecord, withStep } from '../../../patcher/setup/setup-record.ts';

const config = parseSetup({ server: { ssh: 'root@cloud.example' }, transport: 'ssh' }, '/');

describe('the record of a setup', () => {
  let home: string;
  let file: RecordFile;
  let record: SetupRecord;

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'latchkey-record-'));
    file = new RecordFile(config, { HOME: home });
    const agreed = await agree(config, 'linux', null, () => Promise.reject(new Error('not asked')));
    record = { version: 1, config, agreed, steps: {} };
  });
  afterEach(() => rmSync(home, { recursive: true }));

  it.each([['{'], ['{}'], ['{"version":2}'], ['[]']])('refuses %j, and says what to do with it', (text) => {
    file.write(record);
    writeFileSync(join(file.folder, 'setup.json'), text);
    expect(() => file.read()).toThrow(expect.objectContaining({ code: 'setup_record_damaged', exit: 3 }));
  });

  it('is the same when it is read again, and its owner’s alone', () => {
    expect(file.read()).toBeNull();
    const begun = withStep(record, 'hook', 'begun', 7);
    file.write(begun);
    expect(file.read()).toEqual(JSON.parse(JSON.stringify(begun)));
    expect(parseSetup(file.read()?.config, '/')).toEqual(config);
    expect(statSync(join(file.folder, 'setup.json')).mode & 0o777).toBe(0o600);
    expect(statSync(file.folder).mode & 0o777).toBe(0o700);
    file.forget();
    expect(file.read()).toBeNull();
  });

  it('is of one Nextcloud: others on that server have their own', () => {
    const other = new RecordFile({ server: { ...config.server, root: '/srv/other' } }, { HOME: home });
    expect(other.folder).not.toBe(file.folder);
    expect(new RecordFile(config, { HOME: '/nowhere', XDG_STATE_HOME: '/state' }).folder).toMatch(
      /^\/state\/latchkey\/setup\//,
    );
  });

  it('says where it could not be kept, and does nothing then', async () => {
    writeFileSync(join(home, 'file'), '');
    const nowhere = new RecordFile(config, { XDG_STATE_HOME: join(home, 'file') });
    let ran = false;
    const run = nowhere.alone(async () => {
      ran = true;
    });
    await expect(run).rejects.toMatchObject({
      code: 'file_not_written',
      message: expect.stringContaining(nowhere.folder),
    });
    expect(ran).toBe(false);
  });

  it('lets one run in at a time, and takes over from one that was killed', async () => {
    await file.alone(async () => {
      const second = file.alone(() => Promise.resolve('in'));
      await expect(second).rejects.toMatchObject({
        code: 'setup_running',
        exit: 3,
        message: expect.stringMatching(new RegExp(`process ${process.pid}, since 2\\d{3}-`)),
      });
    });
    writeFileSync(join(file.folder, 'running'), '4194305\n'); // no system has a process of that number
    expect(await file.alone(async () => readFileSync(join(file.folder, 'running'), 'utf8'))).toBe(`${process.pid}\n`);
    // a number that another process has since the machine was started again
    writeFileSync(join(file.folder, 'running'), `${process.ppid}\n`);
    utimesSync(join(file.folder, 'running'), 1_000_000, 1_000_000);
    expect(await file.alone(() => Promise.resolve('in'))).toBe('in');
    await expect(file.alone(() => Promise.reject(new Error('work')))).rejects.toThrow('work');
    expect(await file.alone(() => Promise.resolve('in'))).toBe('in');
  });

  describe('of who is who', () => {
    const known = { clientId: 'lk-1', instanceId: 'oc1234567890' };
    const other = () => new RecordFile({ server: { ...config.server, root: '/srv/other' } }, { HOME: home });

    it.each([['{'], ['{}'], ['{"version":1,"clientId":"lk-1","instanceId":"../x"}']])('refuses %j', (text) => {
      new KnownFile(file.folder).write(known);
      writeFileSync(new KnownFile(file.folder).path, text);
      for (const folder of [file.folder, other().folder]) {
        expect(() => memoryOf(new KnownFile(folder), 'oc1234567890', false)).toThrow(
          expect.objectContaining({ code: 'setup_record_damaged', exit: 3 }),
        );
      }
    });

    it('refuses a server that says it is the Nextcloud of another', () => {
      new KnownFile(file.folder).write(known);
      const own = new KnownFile(other().folder);
      expect(() => memoryOf(own, 'oc1234567890', false)).toThrow(
        expect.objectContaining({ code: 'instance_known', exit: 3 }),
      );
      expect(memoryOf(own, 'ocother12345', false)).toMatchObject({
        clientId: null,
        instanceId: 'ocother12345',
        others: [{ ...known, folder: file.folder }],
      });
      expect(existsSync(own.path)).toBe(false);
    });

    it('is kept once somebody was invited, whatever the server says later, but not by a mere look', () => {
      const look = memoryOf(new KnownFile(file.folder), 'oc1234567890', true);
      look.remember('lk-1');
      expect(look.clientId).toBe('lk-1');
      expect(existsSync(new KnownFile(file.folder).path)).toBe(false);
      memoryOf(new KnownFile(file.folder), 'oc1234567890', false).remember('lk-1');
      expect(memoryOf(new KnownFile(file.folder), 'ocother12345', false)).toMatchObject({ ...known, others: [] });
      expect(statSync(new KnownFile(file.folder).path).mode & 0o777).toBe(0o600);
      file.forget();
      expect(new KnownFile(file.folder).read()).toBeNull();
    });

    it('is not what a server says that another Nextcloud is, or that nobody has set up', async () => {
      new KnownFile(other().folder).write({ clientId: 'lk-2', instanceId: 'ocother12345', before: 'lk-3' });
      const own = memoryOf(new KnownFile(file.folder), 'oc1234567890', false);
      for (const id of ['lk-2', 'lk-3', undefined]) await adoptOnce(own, true, async () => id);
      await adoptOnce(own, false, () => Promise.reject(new Error('asked')));
      expect(own.clientId).toBeNull();
      own.remember('lk-1');
      await adoptOnce(own, true, () => Promise.reject(new Error('asked')));
    });

    it('is what a server says that an earlier version has set up, once', async () => {
      const own = memoryOf(new KnownFile(file.folder), 'oc1234567890', false);
      await adoptOnce(own, true, async () => 'lk-7');
      const clients = [{ id: 'lk-7', name: 'by-hand' }] as unknown as Parameters<typeof doubtOf>[2];
      expect(doubtOf('lk-7', { name: 'cloud', memory: own }, clients)).toBeNull();
      expect(new KnownFile(file.folder).read()).toMatchObject({ clientId: 'lk-7' });
      await adoptOnce(own, true, async () => 'lk-8');
      expect(own.clientId).toBe('lk-7');
    });

    it('keeps whom a Nextcloud was before, until it is told without', () => {
      const own = () => memoryOf(new KnownFile(file.folder), 'oc1234567890', false);
      own().remember('lk-2', 'lk-1');
      expect(own()).toMatchObject({ clientId: 'lk-2', before: 'lk-1' });
      expect(new KnownFile(other().folder).others()).toMatchObject([{ clientId: 'lk-2', before: 'lk-1' }]);
      own().remember('lk-2');
      expect(own()).toMatchObject({ clientId: 'lk-2', before: null });
      own().forget();
      expect(new KnownFile(file.folder).read()).toBeNull();
    });
  });
});

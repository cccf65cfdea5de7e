import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agree } from '../../../patcher/setup/agree.ts';
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

  it('lets one run in at a time, and takes over from one that was killed', async () => {
    await file.alone(async () => {
      const second = file.alone(() => Promise.resolve('in'));
      await expect(second).rejects.toMatchObject({ code: 'setup_running', exit: 3 });
    });
    writeFileSync(join(file.folder, 'running'), '4194305\n'); // no system has a process of that number
    expect(await file.alone(async () => readFileSync(join(file.folder, 'running'), 'utf8'))).toBe(`${process.pid}\n`);
    await expect(file.alone(() => Promise.reject(new Error('work')))).rejects.toThrow('work');
    expect(await file.alone(() => Promise.resolve('in'))).toBe('in');
  });
});

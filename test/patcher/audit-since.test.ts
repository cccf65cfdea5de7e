import { describe, expect, it } from 'vitest';
import { type Baseline, firstBaseline } from '../../patcher/audit/baseline.ts';
import { judgeSince } from '../../patcher/audit/since.ts';
import { stablePaths } from '../../patcher/audit/stable-path.ts';
import type { Finding, Seen, SeenApp, Verdict } from '../../patcher/audit/verdict.ts';

const stable = stablePaths(null);
const at = new Date('2026-11-21T12:00:00Z');
const root = '/nc';

interface Sight {
  readonly core?: string | null;
  readonly apps?: Readonly<Record<string, SeenApp>>;
  readonly open?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

function sight({ core = '33.0.1.2', apps = {}, open = {} }: Sight): Seen {
  return {
    core,
    apps: new Map(Object.entries(apps)),
    open: new Map(Object.entries(open).map(([part, files]) => [part, new Map(Object.entries(files))])),
    revocations: null,
  };
}

function since(before: Sight, now: Sight, more: { findings?: Finding[]; baseline?: Partial<Baseline> } = {}): Verdict {
  const first = firstBaseline(sight(before), { instance: null, root }, { stable, at });
  const verdict = { findings: more.findings ?? [], remarks: [], version: null, verified: [], files: 0 };
  return judgeSince(verdict, sight(now), { ...first, ...more.baseline }, { root, stable });
}

const lines = (verdict: Verdict): string[] => verdict.findings.map(({ kind, path }) => `${kind} ${path}`).sort();
const notes = { version: '4.9.0', signer: null };
const signed = { version: '2.0.0', signer: 'core' };

describe('judgeSince()', () => {
  it('names what changed, came and went where no list says anything', () => {
    const before = {
      apps: { '/nc/apps/notes': notes },
      open: {
        'app notes': { '/nc/apps/notes/a.php': '1', '/nc/apps/notes/b.php': '2' },
        config: { '/nc/config/.htaccess': 'rules 1' },
        updater: { '/nc/updater/index.php': '1' },
      },
    };
    const now = {
      apps: { '/nc/apps/notes': notes },
      open: {
        'app notes': { '/nc/apps/notes/a.php': '9', '/nc/apps/notes/c.php': '3' },
        config: { '/nc/config/.htaccess': 'rules 2' },
        updater: { '/nc/updater/index.php': 'link to /tmp/x' },
      },
    };
    expect(lines(since(before, now))).toEqual([
      'changed_since /nc/apps/notes/a.php',
      'changed_since /nc/config/.htaccess',
      'changed_since /nc/updater/index.php',
      'gone_since /nc/apps/notes/b.php',
      'new_since /nc/apps/notes/c.php',
    ]);
    expect(lines(since(before, before))).toEqual([]);
  });

  it('says of a whole app without a list that it came or went, in one finding', () => {
    const app = {
      apps: { '/nc/apps/notes': notes },
      open: { 'app notes': { '/nc/apps/notes/a': '1', '/nc/apps/notes/b': '2' } },
    };
    const came = since({}, app).findings;
    expect(came).toEqual([
      expect.objectContaining({ kind: 'new_since', path: '/nc/apps/notes', words: expect.stringContaining('2 files') }),
    ]);
    expect(lines(since(app, {}))).toEqual(['gone_since /nc/apps/notes']);
  });

  it('names code and apps that are older than what was seen, signed or not', () => {
    const before = { core: '33.0.1.2', apps: { '/nc/apps/dav': signed, '/nc/apps/notes': notes } };
    expect(lines(since(before, { ...before, core: '33.0.0.9' }))).toEqual(['other_version /nc/version.php']);
    const older = {
      '/nc/apps/dav': { ...signed, version: '1.9.9' },
      '/nc/apps/notes': { ...notes, version: '4.8.0' },
    };
    expect(lines(since(before, { apps: older }))).toEqual([
      'other_version /nc/apps/dav/appinfo/info.xml',
      'other_version /nc/apps/notes/appinfo/info.xml',
    ]);
  });

  it('knows an older app again that was put into another folder', () => {
    const before = { apps: { '/nc/apps/dav': signed } };
    const moved = { apps: { '/srv/apps/dav': { ...signed, version: '1.0.0' } } };
    expect(lines(since(before, moved))).toEqual(['other_version /srv/apps/dav/appinfo/info.xml']);
  });

  it('names an app that had a signed list and has none any more, with all its files', () => {
    const before = { apps: { '/nc/apps/calendar': { version: '5.0.0', signer: 'calendar' } } };
    const now = {
      apps: { '/nc/apps/calendar': { version: '5.0.0', signer: null } },
      open: { 'app calendar': { '/nc/apps/calendar/lib/a.php': '1' } },
    };
    expect(lines(since(before, now))).toEqual([
      'new_since /nc/apps/calendar/lib/a.php',
      'signature_missing /nc/apps/calendar/appinfo/signature.json',
    ]);
  });

  it('finds nothing in an upgrade of what is signed, nor in an app that has a list now; tells of a new signed one', () => {
    const before = {
      apps: { '/nc/apps/dav': signed, '/nc/apps/notes': notes },
      open: { 'app notes': { '/nc/apps/notes/a.php': '1' } },
    };
    const now = {
      core: '34.0.0.1',
      apps: {
        '/nc/apps/dav': { ...signed, version: '3.0.0' },
        '/nc/apps/notes': { version: '5.0.0', signer: 'notes' },
        '/nc/apps/deck': { version: '1.0.0', signer: 'deck' },
      },
    };
    const verdict = since(before, now);
    expect(lines(verdict)).toEqual([]);
    expect(verdict.remarks).toEqual([expect.objectContaining({ kind: 'new_app', path: '/nc/apps/deck' })]);
  });

  it('finds nothing in a new revision of a snap, where the same lies under another name', () => {
    const apps = (revision: string) => ({ [`/var/snap/nextcloud/${revision}/nextcloud/extra-apps/notes`]: notes });
    const open = (revision: string) => ({
      'app notes': { [`/var/snap/nextcloud/${revision}/nextcloud/extra-apps/notes/a.php`]: '1' },
    });
    const [old, now] = ['41', '42'].map((revision) => ({ apps: apps(revision), open: open(revision) }));
    expect(lines(since(old ?? {}, now ?? {}))).toEqual([]);
  });

  it('does not say that nothing can be said about files that it compares', () => {
    const first = firstBaseline(sight({}), { instance: null, root }, { stable, at });
    const kinds = ['unsigned_app', 'unsigned_file', 'not_looked_at'] as const;
    const remarks = kinds.map((kind) => ({ kind, path: '/nc', words: '' }));
    const verdict = { findings: [], remarks, version: null, verified: [], files: 0 };
    const judged = judgeSince(verdict, sight({}), first, { root, stable });
    expect(judged.remarks.map(({ kind }) => kind)).toEqual(['not_looked_at']);
  });

  it('does not miss files of the server in the baseline once a list covers them', () => {
    const first = firstBaseline(
      sight({ open: { core: { '/nc/lib/base.php': '1' } } }),
      { instance: null, root },
      { stable, at },
    );
    const judged = (verified: string[]): string[] => {
      const verdict = { findings: [], remarks: [], version: null, verified, files: 0 };
      return lines(judgeSince(verdict, sight({}), first, { root, stable }));
    };
    expect(judged([])).toEqual(['gone_since /nc/lib/base.php']);
    expect(judged(['core'])).toEqual([]);
  });

  it('lets be what was accepted as long as the same is there, and tells of it', () => {
    const finding: Finding = { kind: 'added', path: '/nc/robots.txt', part: 'core', words: null, mark: 'aa' };
    const entry = { kind: 'added', path: '/nc/robots.txt', mark: 'aa', reason: 'ours', at: at.toISOString() } as const;
    const with_ = (one: Finding): Verdict => since({}, {}, { findings: [one], baseline: { accepted: [entry] } });
    expect(lines(with_({ ...finding, mark: 'bb' }))).toEqual(['added /nc/robots.txt']);
    expect(lines(with_({ ...finding, kind: 'changed' }))).toEqual(['changed /nc/robots.txt']);
    expect(lines(with_({ ...finding, mark: null }))).toEqual(['added /nc/robots.txt']);
    const verdict = with_(finding);
    expect(lines(verdict)).toEqual([]);
    expect(verdict.remarks).toEqual([
      { kind: 'accepted', path: '/nc/robots.txt', words: 'added, accepted 2026-11-21: ours' },
    ]);
  });
});

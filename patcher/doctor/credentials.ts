import { bad, dayOf, type Finding, info, ok, spanWords, unknown, warn } from './finding.ts';

/** ms since 1970. */
export interface Lifetime {
  readonly from: number;
  readonly until: number;
}

export interface CredentialsEvidence {
  /** What stands before a command among Nextcloud's files, for whoever is on the machine. */
  readonly door: string;
  /** `null` when it is not there. */
  readonly stateFolder: { readonly path: string; readonly mode: string; readonly owner: string } | null;
  /** Whose all of it must be. */
  readonly owner: string | null;
  readonly files: readonly {
    readonly name: string;
    readonly mode: string;
    readonly owner: string;
    readonly mtime: number;
    readonly plain: boolean;
  }[];
  readonly hasCertificate: boolean;
  /** `null` where there is none that can be read. */
  readonly certificate: Lifetime | null;
  readonly authority: Lifetime | null;
  readonly keysAway: readonly string[] | null;
  readonly timerInstalled: boolean | null;
  readonly scheduler: 'systemd' | 'cron' | 'none' | null;
  readonly timerActive: boolean | null;
  readonly heartbeat: {
    readonly time: number | null;
    readonly code: string | null;
    readonly answered: number | null;
  } | null;
}

const WEEK_MS = 7 * 24 * 3_600_000;
const YEAR_MS = 365 * 24 * 3_600_000;
/** As the app sees it: after this the key server may hold the next release. */
const SILENCE_MS = 600_000;

/** Pure: what the server has to show the key server, how well it is closed, and whether it keeps in touch. */
export function credentialsFindings(evidence: CredentialsEvidence, now: number): Finding[] {
  const { stateFolder, files } = evidence;
  const away = (evidence.keysAway?.length ?? 0) > 0;
  const client = files.find(({ name }) => name === 'client.json');
  if (evidence.keysAway === null && client === undefined) {
    return [
      unknown('credentials_unknown', 'whether this server is enrolled could not be read', {
        fix: 'connect as root, or add --sudo',
      }),
    ];
  }
  if (stateFolder === null || client === undefined) {
    const what = stateFolder === null ? 'there is no state folder' : 'this server is not enrolled at a key server';
    return [
      away
        ? bad('credentials_missing', `${what}, but keys are on a key server`, {
            why: 'without its credentials this server gets no key',
            fix: 'keyserver client reset; then: ncpatch enroll --replace',
          })
        : info('not_enrolled', what, { fix: stateFolder === null ? 'ncpatch apply' : 'ncpatch enroll' }),
    ];
  }
  return [
    ...modes(evidence, stateFolder),
    ...certificates(evidence, now),
    age(client.mtime, now),
    ...heartbeat(evidence, now),
  ];
}

function modes(evidence: CredentialsEvidence, folder: NonNullable<CredentialsEvidence['stateFolder']>): Finding[] {
  const { owner, files, door } = evidence;
  const found: Finding[] = [];
  const things = [
    { path: folder.path, mode: folder.mode, owner: folder.owner, want: 0o700, plain: true },
    ...files.map((file) => ({ ...file, path: `${folder.path}/${file.name}`, want: 0o600 })),
  ];
  for (const { path, mode, owner: whose, want, plain } of things) {
    if (!plain) {
      found.push(
        bad('state_link', `${path} is no plain file`, {
          why: 'the app refuses it; somebody put it there',
          fix: `${door}ls -l ${path}; find out who, then remove it`,
        }),
      );
      continue;
    }
    if (owner !== null && whose !== owner) {
      found.push(
        bad('state_owner', `${path} belongs to ${whose}, not to ${owner}`, {
          why: 'the app refuses what is not its own',
          fix: `find out who changed it, then: ${door}chown ${owner}: ${path}`,
        }),
      );
      continue;
    }
    if ((Number.parseInt(mode, 8) & 0o077) === 0) continue;
    found.push(
      bad('state_mode', `${path} is open to others (mode ${mode})`, {
        why: 'the credentials for the key server are in there, and the app refuses to work with open ones',
        fix: `${door}chmod ${want.toString(8)} ${path}`,
        repair: owner === null ? null : { kind: 'close_path', path, mode: want, owner },
      }),
    );
  }
  return found.length === 0 ? [ok('state_closed', 'the state folder is closed to others')] : found;
}

function certificates({ hasCertificate, certificate, authority }: CredentialsEvidence, now: number): Finding[] {
  const found: Finding[] = [];
  if (!hasCertificate) {
    found.push(
      info('no_certificate', 'this server was enrolled without a certificate', { fix: 'ncpatch enroll --replace' }),
    );
  } else if (certificate === null) {
    found.push(
      bad('certificate_unreadable', 'client.crt cannot be read as a certificate', { fix: 'ncpatch enroll --replace' }),
    );
  } else if (now > certificate.until) {
    found.push(
      bad('certificate_expired', `the certificate of this server has expired on ${dayOf(certificate.until)}`, {
        why: 'the key server refuses it',
        fix: 'keyserver client reset; then: ncpatch enroll --replace',
      }),
    );
  } else if (now < certificate.from) {
    found.push(
      bad('certificate_not_yet', `the certificate of this server is valid from ${dayOf(certificate.from)} only`, {
        fix: 'set the clock of this server right: timedatectl',
      }),
    );
  } else if (certificate.until - now < WEEK_MS) {
    found.push(
      warn(
        'certificate_ending',
        `the certificate of this server ends on ${dayOf(certificate.until)}, and nothing has renewed it`,
        {
          why: 'heartbeats renew it; after its end no key comes',
          fix: 'occ remotekey:certificate --renew',
        },
      ),
    );
  } else found.push(ok('certificate', `certificate until ${dayOf(certificate.until)}`));
  if (authority === null) {
    found.push(
      unknown('authority_unreadable', "ca.pem, the key server's authority, cannot be read", {
        fix: 'ncpatch enroll --replace',
      }),
    );
  } else if (now > authority.until) {
    found.push(
      bad('authority_expired', `the key server's authority has expired on ${dayOf(authority.until)}`, {
        fix: 'give this server the new one: ncpatch enroll --replace --ca FILE',
      }),
    );
  } else if (authority.until - now < 8 * WEEK_MS) {
    found.push(
      warn('authority_ending', `the key server's authority ends on ${dayOf(authority.until)}`, {
        fix: 'renew it on the key server',
      }),
    );
  }
  return found;
}

function age(mtime: number, now: number): Finding {
  const words = `credentials are from ${dayOf(mtime)}, ${spanWords(now - mtime)} ago`;
  if (now - mtime < YEAR_MS) return ok('token_age', words);
  return info('token_old', words, {
    why: 'nothing is wrong with that; new ones cost a minute',
    fix: 'ncpatch enroll --replace',
  });
}

function heartbeat(evidence: CredentialsEvidence, now: number): Finding[] {
  const { timerInstalled, timerActive, heartbeat: last, keysAway, scheduler } = evidence;
  const found: Finding[] = [];
  if (timerInstalled === false) {
    found.push(
      warn('heartbeat_missing', 'no heartbeat is installed', {
        why: 'a key server that hears nothing of this server may hold its next key back',
        fix: scheduler === 'none' ? 'run the heartbeat script of the app once a minute' : 'ncpatch apply',
      }),
    );
  } else if (timerActive === false) {
    found.push(
      warn(
        'heartbeat_not_run',
        `nothing runs the heartbeat: ${scheduler === 'systemd' ? 'its timer is stopped' : 'no cron is at work'}`,
        {
          fix:
            scheduler === 'systemd' ? 'ncpatch apply' : 'systemctl enable --now cron, or what this system has for it',
        },
      ),
    );
  }
  const answered = last?.answered ?? null;
  if (answered !== null && now - answered <= SILENCE_MS) {
    found.push(ok('heartbeat', `heartbeat answered ${spanWords(now - answered)} ago`));
    return found;
  }
  const code = last?.code == null || last.code === 'ok' ? '' : ` (${last.code})`;
  const report = (keysAway?.length ?? 0) > 0 ? bad : info;
  found.push(
    report(
      'heartbeat_silent',
      answered === null
        ? `no heartbeat was answered yet${code}`
        : `no heartbeat was answered for ${spanWords(now - answered)}${code}`,
      { why: 'the gate "presence" of the key server may hold the next release', fix: 'occ remotekey:heartbeat' },
    ),
  );
  return found;
}

export type FindingKind =
  | 'changed'
  | 'added'
  | 'missing'
  | 'unreadable'
  | 'signature_refused'
  | 'signature_missing'
  | 'certificate_revoked'
  | 'other_version'
  | 'foreign_code'
  | 'settings_code'
  | 'web_server_rule'
  | 'link_outside'
  | 'special_file'
  | 'own_app_differs'
  | 'changed_since'
  | 'new_since'
  | 'gone_since';

/** Something that is not as the vendor, this ncpatch or the baseline has it. */
export interface Finding {
  readonly kind: FindingKind;
  /** Absolute, on the target. */
  readonly path: string;
  /** What it belongs to: `core`, `app encryption`, `config`, `data`, … */
  readonly part: string;
  /** More about it, or `null` where the kind says all. */
  readonly words: string | null;
  /**
   * What is there now: SHA-512 of the file or of its part in question, `link to …`, `nothing`. Accepting a finding means this
   * state and no other; `null` where the state cannot be told, which nobody can accept.
   */
  readonly mark: string | null;
}

/** What nobody signed, or was not looked at: for a person to know, no fault by itself. */
export interface Remark {
  readonly kind:
    | 'unsigned_app'
    | 'app_absent'
    | 'unsigned_file'
    | 'settings_file'
    | 'not_looked_at'
    | 'not_installed'
    | 'upgrade_waits'
    | 'older_revocations'
    | 'new_app'
    | 'own_patch'
    | 'accepted';
  readonly path: string;
  readonly words: string;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  readonly remarks: readonly Remark[];
  /** `null` when the tree has no readable `version.php`. */
  readonly version: string | null;
  /** Folders whose signed list holds: `core` and app ids. */
  readonly verified: readonly string[];
  readonly files: number;
}

/** What an audit saw that only a later audit can judge. */
export interface Seen {
  /** What no signed list covers: part → absolute path → mark. */
  readonly open: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** As its signed `version.php` has it, `33.0.1.2`; `null` where none is signed. */
  readonly core: string | null;
  /** By the app's folder. */
  readonly apps: ReadonlyMap<string, SeenApp>;
  /** The newest list of revoked certificates, PEM, verified. */
  readonly revocations: string | null;
}

export interface SeenApp {
  readonly version: string | null;
  /** Common name of the certificate, `null` without a signed list that holds. */
  readonly signer: string | null;
}

export type FindingKind =
  | 'changed'
  | 'added'
  | 'missing'
  | 'unreadable'
  | 'signature_refused'
  | 'signature_missing'
  | 'other_version'
  | 'foreign_code'
  | 'settings_code'
  | 'web_server_rule'
  | 'link_outside'
  | 'special_file'
  | 'own_app_differs';

/** Something that is not as the vendor, or this ncpatch, made it. */
export interface Finding {
  readonly kind: FindingKind;
  /** Absolute, on the target. */
  readonly path: string;
  /** What it belongs to: `core`, `app encryption`, `config`, `data`, … */
  readonly part: string;
  /** More about it, or `null` where the kind says all. */
  readonly words: string | null;
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
    | 'upgrade_waits';
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

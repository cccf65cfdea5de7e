/**
 * What a folder on the target holds, as the tools there tell it. Paths are below the folder; bytes in them that are not UTF-8
 * are lone surrogates (`nameOf`).
 */
export interface TreeListing {
  /** SHA-512 in hex of each regular file; '' where there is none to be had (unreadable, or far too large). */
  readonly files: ReadonlyMap<string, string>;
  /** Symlinks and where they point, as written; none is followed. */
  readonly links: ReadonlyMap<string, string>;
  /** What is neither file, folder nor symlink. */
  readonly others: readonly string[];
  /** The content of what has to be read: signed lists, app descriptions, rules for the web server. Without its NUL bytes. */
  readonly texts: ReadonlyMap<string, Buffer>;
}

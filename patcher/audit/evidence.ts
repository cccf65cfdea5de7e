import type { HookDefinition } from '../hooks/hook-definition.ts';
import type { SettingsLook } from './settings-look.ts';
import type { TreeListing } from './tree-listing.ts';

/** Everything the judge looks at; nothing of it is taken for true but what the vendor's signature or a hash shows. */
export interface Evidence {
  readonly root: string;
  /** Name of the kind of installation, `null` where the tree was named and is not known as any. */
  readonly target: string | null;
  readonly tree: TreeListing;
  /** Apps paths below the root (by their absolute path) come out of `tree`; those elsewhere bring their own listing. */
  readonly appsPaths: readonly { readonly path: string; readonly listing: TreeListing | null }[];
  /** The folder of `config.php`, with its own listing where it is not `<root>/config`; `null` where there is none. */
  readonly config: { readonly path: string; readonly listing: TreeListing | null } | null;
  readonly settings: SettingsLook | null;
  /** The data directory's two uppermost levels. */
  readonly data: { readonly path: string; readonly listing: TreeListing } | null;
  /** What this ncpatch would deploy: path → SHA-512. */
  readonly ownApp: { readonly version: string; readonly files: ReadonlyMap<string, string> };
  /** What this ncpatch may have put into a file of the server. */
  readonly coreHook: HookDefinition;
  /** The newest list of revoked certificates known from elsewhere, PEM. */
  readonly revocations: string | null;
  readonly now: Date;
}

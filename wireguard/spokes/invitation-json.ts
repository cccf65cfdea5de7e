import { isoTime } from '../hub/peer-json.ts';
import { type InstallToken, type TokenState, tokenState } from './install-token.ts';
import type { InstallerKey } from './installer-signing.ts';
import type { Invitation } from './invitations.ts';

/** A token as programs are told of it, without its text. */
export interface TokenJson {
  readonly id: string;
  readonly spokeId: string;
  readonly spokeName: string;
  readonly interface: string;
  readonly platform: string | null;
  readonly allowedIPs: readonly string[];
  readonly clusterMembers: number;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly status: TokenState;
  /** Whether its script was fetched. */
  readonly used: boolean;
  readonly fetchedAt: string | null;
  readonly fetchedFrom: string | null;
  readonly fetchedWith: string | null;
  readonly registeredAt: string | null;
  readonly registeredFrom: string | null;
}

export function tokenJson(token: InstallToken, now: number): TokenJson {
  return {
    id: token.id,
    spokeId: token.spokeId,
    spokeName: token.spokeName,
    interface: token.interface,
    platform: token.platform,
    allowedIPs: token.addresses,
    clusterMembers: token.members,
    createdBy: token.createdBy,
    createdAt: new Date(token.createdAt).toISOString(),
    expiresAt: new Date(token.expiresAt).toISOString(),
    status: tokenState(token, now),
    used: token.fetchedAt !== null,
    fetchedAt: isoTime(token.fetchedAt),
    fetchedFrom: token.fetchedFrom,
    fetchedWith: token.fetchedAgent,
    registeredAt: isoTime(token.registeredAt),
    registeredFrom: token.registeredFrom,
  };
}

/** A new token with its text, and by platform the commands, hashes and signatures of its scripts. */
export function invitationJson({ token, text, installers }: Invitation, key: InstallerKey): object {
  const by = <T>(pick: (notice: NonNullable<(typeof installers)['linux']>) => T) =>
    Object.fromEntries(Object.entries(installers).map(([platform, notice]) => [platform, pick(notice)]));
  return {
    token: { ...tokenJson(token, token.createdAt), token: text },
    installCommands: by(({ command }) => command),
    verifiedCommands: by(({ verifiedCommand }) => verifiedCommand),
    scripts: by(({ sha256, signature }) => ({ sha256, signature })),
    signingKey: key.publicKey,
  };
}

/** What a path is called in a baseline, so that it is the same next time. */
export type StablePath = (path: string) => string;

/** A snap has a folder for each revision, and the one in use goes by two names. */
const REVISION = /^(\/(?:var\/(?:lib\/snapd\/)?)?snap\/[a-z0-9-]+)\/(?:x?[0-9]+)(?=\/|$)/;

/** Without the folder on which the server's disk is mounted, and with `current` for a revision of a snap. */
export function stablePaths(disk: string | null): StablePath {
  return (path) => {
    const there = disk !== null && path.startsWith(`${disk}/`) ? path.slice(disk.length) : path;
    return there.replace(REVISION, '$1/current');
  };
}

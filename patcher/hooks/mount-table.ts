/** One line of `/proc/self/mountinfo` (proc(5)). */
export interface Mount {
  readonly point: string;
  readonly options: readonly string[];
  readonly type: string;
}

/** Pure: the mounts in their order, of which a later one covers an earlier one at the same place. */
export function parseMountTable(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const [, , , , point, options] = before?.split(' ') ?? [];
    const [type, , superOptions] = after?.split(' ') ?? [];
    if (point === undefined || options === undefined || type === undefined) return [];
    return [{ point: unescaped(point), type, options: [...options.split(','), ...(superOptions ?? '').split(',')] }];
  });
}

/** Whether nothing can be written at `path`, by the mount it lies in; one on the path itself does not count. */
export function isReadOnlyAt(mounts: readonly Mount[], path: string): boolean {
  let found: Mount | null = null;
  for (const mount of mounts) {
    const isAbove = mount.point === '/' || path.startsWith(`${mount.point}/`);
    if (isAbove && (found === null || mount.point.length >= found.point.length)) found = mount;
  }
  return found?.options.includes('ro') === true;
}

/** Space, tab, newline and backslash are octal there. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

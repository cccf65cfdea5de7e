import { existsSync, readFileSync, realpathSync } from 'node:fs';

/** The type of the file system that a path lies on, as the kernel tells it; '' where it does not. */
export function fileSystemOf(path: string): string {
  if (!existsSync('/proc/self/mounts') || !existsSync(path)) return '';
  const real = realpathSync(path);
  let best = { point: '', type: '' };
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, escaped = '', type = ''] = line.split(' ');
    const point = escaped.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const inside = point === '/' || real === point || real.startsWith(`${point}/`);
    if (inside && point.length >= best.point.length) best = { point, type };
  }
  return best.type;
}

/** Whether what lies there is gone when the power is, swap aside. */
export function isInRam(path: string): boolean {
  return ['tmpfs', 'ramfs'].includes(fileSystemOf(path));
}

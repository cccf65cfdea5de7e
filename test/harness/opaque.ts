import { execFileSync } from 'node:child_process';

const PROGRAM = "import os, sys\nfor path in sys.argv[1:]: os.setxattr(path, b'trusted.overlay.opaque', b'y')";

/** Folders in the upper layer of an overlay that show nothing of what lies below them. */
export function makeOpaque(folders: readonly string[]): void {
  // -I -S: Python alone starts in half the time
  if (folders.length > 0) execFileSync('python3', ['-I', '-S', '-c', PROGRAM, ...folders]);
}

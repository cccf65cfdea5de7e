<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/** Where a state folder may be: not where the web server hands files out, not among the users' data. */
final class FolderRules {
	/**
	 * @param list<string> $forbidden folders the state folder must not be in
	 * @param string $reserved one path that is allowed although its parent is forbidden; what is above that is not
	 * @throws Failure `folder_refused`
	 */
	public static function assertAllowed(string $dir, array $forbidden, string $reserved = ''): void {
		if ($dir === '' || $dir[0] !== '/' || preg_match('#(\A|/)\.\.?(/|\z)#', $dir) === 1) {
			throw new Failure('folder_refused', '"--dir" must be an absolute path without "." and ".."');
		}
		$real = realpath($dir);
		if ($real === false || !is_dir($real)) {
			throw new Failure(
				'folder_missing',
				'the state folder does not exist: ' . $dir,
				'create it with mode 0700 for the user that owns config.php, e.g. `install -d -m 0700 -o www-data ' . $dir . '`',
			);
		}
		foreach ($forbidden as $folder) {
			$outer = realpath($folder);
			if ($outer !== false && $real === $outer . '/' . basename($reserved) && $real === realpath($reserved)) {
				continue;
			}
			if ($outer !== false && strncmp($real . '/', rtrim($outer, '/') . '/', strlen(rtrim($outer, '/')) + 1) === 0) {
				throw new Failure('folder_refused', 'the state folder must not be inside ' . $folder);
			}
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

/**
 * PHP's own shared memory, asked directly: Nextcloud's cache API may be Redis with a dump on disk. Other sites under the
 * same PHP can read it too; what lies here opens only with this instance's secret.
 */
class ApcuStore implements RamStore {
	private string $prefix;

	public function __construct(string $prefix) {
		$this->prefix = $prefix;
	}

	/** Under a CLI each process has an APCu of its own, so it is no use there even where it is on. */
	public static function isUsable(): bool {
		return !in_array(PHP_SAPI, ['cli', 'phpdbg'], true) && function_exists('apcu_enabled') && apcu_enabled() && !self::isOnDisk();
	}

	/** Is PHP set up to map this memory to a file on a disk, where the kernel would write the key? */
	public static function isOnDisk(): bool {
		// false is an APCu built without mmap, or none at all
		return !self::isMemory((string)ini_get('apc.mmap_file_mask'));
	}

	/**
	 * @param string $mask apc.mmap_file_mask: '' and /dev/zero are anonymous memory, all else is a file made from it
	 * @param string|null $mounts content of /proc/self/mounts; for tests
	 */
	public static function isMemory(string $mask, ?string $mounts = null): bool {
		return $mask === '' || $mask === '/dev/zero'
			|| (strncmp($mask, '/', 1) === 0 && TmpfsStore::isRamFileSystem(dirname($mask), $mounts));
	}

	public function name(): string {
		return 'apcu';
	}

	public function get(string $name): ?string {
		$value = apcu_fetch($this->prefix . $name, $found);
		return $found && is_string($value) ? $value : null;
	}

	public function set(string $name, #[\SensitiveParameter] string $value, int $seconds): void {
		apcu_store($this->prefix . $name, $value, max(1, $seconds));
	}

	public function delete(string $name): void {
		apcu_delete($this->prefix . $name);
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

/** 0600 files in a 0700 folder of a file system that lives in RAM, proved by the mount table. For occ and cron. */
class TmpfsStore implements RamStore {
	private string $folder;
	private string $prefix;

	public function __construct(string $folder, string $prefix) {
		$this->folder = $folder;
		$this->prefix = $prefix;
	}

	/**
	 * The first usable folder: one under /run that an administrator made for us, the snap's, the user's own run-time
	 * folder, else /dev/shm.
	 *
	 * @return self|null null when there is no RAM file system this user can write to
	 */
	public static function find(string $prefix, ?string $mounts = null): ?self {
		$uid = function_exists('posix_geteuid') ? posix_geteuid() : null;
		if ($uid === null) {
			return null;
		}
		foreach (['/run', '/run/snap.nextcloud', '/run/user/' . $uid, '/dev/shm'] as $parent) {
			$folder = $parent . '/latchkey-' . $uid;
			if (self::isRamFileSystem($parent, $mounts) && self::prepare($folder, $uid)) {
				return new self($folder, $prefix);
			}
		}
		return null;
	}

	/**
	 * @param string|null $mounts content of /proc/self/mounts; for tests
	 */
	public static function isRamFileSystem(string $path, ?string $mounts = null): bool {
		$real = @realpath($path);
		if ($real === false) {
			return false;
		}
		$best = '';
		$type = '';
		foreach (explode("\n", $mounts ?? (string)@file_get_contents('/proc/self/mounts')) as $line) {
			$fields = explode(' ', $line);
			if (count($fields) < 3) {
				continue;
			}
			$point = preg_replace_callback('/\\\\([0-7]{3})/', static fn (array $m): string => chr((int)octdec($m[1])), $fields[1]);
			$inside = $point === '/' || $real === $point || strncmp($real, $point . '/', strlen($point) + 1) === 0;
			// of two mounts on the same point the later one is seen
			if ($inside && strlen($point) >= strlen($best)) {
				$best = $point;
				$type = $fields[2];
			}
		}
		return $type === 'tmpfs' || $type === 'ramfs';
	}

	public function name(): string {
		return 'tmpfs';
	}

	public function folder(): string {
		return $this->folder;
	}

	public function get(string $name): ?string {
		$path = $this->path($name);
		clearstatcache(true, $path);
		if (!is_file($path) || is_link($path) || fileowner($path) !== posix_geteuid() || (fileperms($path) & 0077) !== 0) {
			return null;
		}
		$value = @file_get_contents($path);
		return $value === false ? null : $value;
	}

	public function set(string $name, #[\SensitiveParameter] string $value, int $seconds): void {
		$temporary = $this->path($name) . '.' . getmypid() . '.new';
		@unlink($temporary);
		$handle = @fopen($temporary, 'x');
		if ($handle === false) {
			return;
		}
		$written = chmod($temporary, 0600) && fwrite($handle, $value) === strlen($value);
		fclose($handle);
		if (!$written || !@rename($temporary, $this->path($name))) {
			@unlink($temporary);
		}
	}

	public function delete(string $name): void {
		@unlink($this->path($name));
	}

	private function path(string $name): string {
		return $this->folder . '/' . hash('sha256', $this->prefix . $name);
	}

	private static function prepare(string $folder, int $uid): bool {
		clearstatcache(true, $folder);
		if (!file_exists($folder) && !is_link($folder)) {
			@mkdir($folder, 0700);
			clearstatcache(true, $folder);
		}
		// in a shared folder somebody else may have been here first
		return is_dir($folder) && !is_link($folder) && fileowner($folder) === $uid && (fileperms($folder) & 0077) === 0;
	}
}

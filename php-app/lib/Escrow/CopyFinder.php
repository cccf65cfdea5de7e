<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * Other places of this machine where a private key, or the config.php that opens it, has been left behind. It can
 * only look where the web server's user may look and never follows links; what lies in snapshots, freed blocks or on
 * other machines is beyond it.
 */
final class CopyFinder {
	private const MAX_ENTRIES = 200000;
	private const MAX_DEPTH = 8;
	private const MAX_LOG_BYTES = 2147483648;

	private int $entries = 0;

	/**
	 * @param string $data data directory
	 * @param string $root folder Nextcloud's code is in
	 * @param list<string> $logs nextcloud.log and its rotated forms
	 * @param string $sessions session.save_path of file sessions, '' when sessions are elsewhere
	 * @param string|null $live the key folder in use, which is not a copy
	 * @return list<array{path: string, kind: string}> kind: private_key | config_backup | log | sessions | unread
	 */
	public function find(string $data, string $root, array $logs, string $sessions, ?string $live): array {
		$this->entries = 0;
		$found = [];
		foreach ($this->places($data, $root) as $place => $depth) {
			foreach ($this->privateKeys($place, $depth, $live) as $path) {
				$found[$path] = 'private_key';
			}
		}
		foreach ($this->updaters($data) as $updater) {
			foreach ($this->names($updater . '/backups') as $backup) {
				$config = $updater . '/backups/' . $backup . '/config/config.php';
				if (is_file($config)) {
					$found[$config] = 'config_backup';
				}
			}
		}
		foreach ($logs as $log) {
			if ($this->holdsKey($log)) {
				$found[$log] = 'log';
			}
		}
		if ($sessions !== '' && is_dir($sessions)) {
			if (!is_readable($sessions)) {
				$found[$sessions] = 'unread';
			} elseif (preg_grep('/\Asess_/', $this->names($sessions)) !== []) {
				$found[$sessions] = 'sessions';
			}
		}
		ksort($found);
		$list = [];
		foreach ($found as $path => $kind) {
			$list[] = ['path' => (string)$path, 'kind' => $kind];
		}
		return $list;
	}

	/** True when the file quotes a private key, as PEM or JSON-escaped PEM. */
	public function holdsKey(string $file): bool {
		$handle = is_file($file) && is_readable($file) ? @fopen($file, 'r') : false;
		if ($handle === false) {
			return false;
		}
		$tail = '';
		$read = 0;
		$hit = false;
		while (!$hit && !feof($handle) && $read < self::MAX_LOG_BYTES) {
			$chunk = (string)fread($handle, 1 << 20);
			if ($chunk === '') {
				break;
			}
			$read += strlen($chunk);
			$hit = strpos($tail . $chunk, 'PRIVATE KEY-----') !== false;
			$tail = substr($chunk, -32);
		}
		fclose($handle);
		return $hit;
	}

	/**
	 * Where backups of a data directory usually are: in it, beside it, beside the code.
	 *
	 * @return array<string, int> folder → how deep to look
	 */
	private function places(string $data, string $root): array {
		$places = [
			$data . '/files_encryption' => self::MAX_DEPTH,
			$data . '/ncp-update-backups' => self::MAX_DEPTH,
			'/var/snap/nextcloud/common/backups' => self::MAX_DEPTH,
			'/var/backups' => 6,
		];
		foreach ($this->updaters($data) as $updater) {
			$places[$updater] = self::MAX_DEPTH;
		}
		foreach (array_unique([dirname($data), dirname($root)]) as $parent) {
			if ($parent !== '/' && $parent !== '.') {
				foreach ($this->keyFolders($parent, 2) as $folder) {
					$places[$folder] = 3;
				}
			}
		}
		return $places;
	}

	/** @return list<string> */
	private function updaters(string $data): array {
		return array_map(
			static fn (string $name): string => $data . '/' . $name,
			array_values(preg_grep('/\Aupdater-/', $this->names($data)) ?: []),
		);
	}

	/** @return \Generator<string> folders named files_encryption, the folder itself being level 0 */
	private function keyFolders(string $folder, int $levels): \Generator {
		foreach ($this->names($folder) as $name) {
			$path = $folder . '/' . $name;
			if (is_link($path) || !is_dir($path)) {
				continue;
			}
			if ($name === 'files_encryption') {
				yield $path;
			} elseif ($levels > 0) {
				yield from $this->keyFolders($path, $levels - 1);
			}
		}
	}

	/** @return list<string> names in a folder, none when it cannot be read */
	private function names(string $folder): array {
		$names = is_dir($folder) && is_readable($folder) ? @scandir($folder, SCANDIR_SORT_NONE) : false;
		return $names === false ? [] : array_values(array_diff($names, ['.', '..']));
	}

	/** @return \Generator<string> */
	private function privateKeys(string $folder, int $depth, ?string $live): \Generator {
		if ($depth < 0 || is_link($folder)) {
			return;
		}
		foreach ($this->names($folder) as $name) {
			if ($this->entries++ > self::MAX_ENTRIES) {
				return;
			}
			$path = $folder . '/' . $name;
			if (preg_match('/\.privateKey(\.|\z)/', $name) === 1 && is_file($path)) {
				if ($live === null || realpath($folder) !== realpath($live) || substr($name, -11) !== '.privateKey') {
					yield (string)realpath($path);
				}
			} elseif (is_dir($path) && $name !== 'keys') {
				// `keys` holds the share keys of each file: many, and no private ones
				yield from $this->privateKeys($path, $depth - 1, $live);
			}
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Machine;

/** Where the kernel may write what lies in tmpfs and APCu. */
class Swap {
	/** More layers than LVM on RAID on dm-crypt has. */
	private const DEEPEST = 8;

	/**
	 * Swap areas that end on a disk in clear: neither on dm-crypt nor compressed memory (zram).
	 *
	 * @param string|null $swaps content of /proc/swaps; for tests, as is $sys
	 * @return list<string> their paths; none too where the kernel does not tell
	 */
	public static function inClear(?string $swaps = null, string $sys = '/sys'): array {
		$areas = [];
		foreach (array_slice(explode("\n", $swaps ?? (string)@file_get_contents('/proc/swaps')), 1) as $line) {
			if (preg_match('/\A(\S+)\s+(partition|file)\s/', $line, $match) !== 1) {
				continue;
			}
			$path = preg_replace_callback('/\\\\([0-7]{3})/', static fn (array $m): string => chr((int)octdec($m[1])), $match[1]);
			$device = $match[2] === 'partition' ? $sys . '/class/block/' . basename($path) : self::deviceUnder($path, $sys);
			if ($device === null || !self::isSafe($device, 0)) {
				$areas[] = $path;
			}
		}
		return $areas;
	}

	/** The block device a file lies on, by the number the kernel gives it. */
	private static function deviceUnder(string $file, string $sys): ?string {
		$stat = @stat($file);
		if ($stat === false) {
			return null;
		}
		// glibc's dev_t: minor in bits 0-7 and 20-31, major in 8-19
		return $sys . '/dev/block/' . (($stat['dev'] >> 8) & 0xfff) . ':' . (($stat['dev'] & 0xff) | (($stat['dev'] >> 12) & 0xfff00));
	}

	/** @param string $device its folder in /sys */
	private static function isSafe(string $device, int $depth): bool {
		if (preg_match('/\Azram[0-9]+\z/', basename($device)) === 1) {
			$disk = @file_get_contents($device . '/backing_dev');
			return $disk === false || trim($disk) === 'none';
		}
		if (strncmp((string)@file_get_contents($device . '/dm/uuid'), 'CRYPT-', 6) === 0) {
			return true;
		}
		$below = glob($device . '/slaves/*', GLOB_NOSORT) ?: [];
		foreach ($below as $slave) {
			if ($depth >= self::DEEPEST || !self::isSafe($slave, $depth + 1)) {
				return false;
			}
		}
		return $below !== [];
	}
}

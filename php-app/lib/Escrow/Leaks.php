<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\AppInfo\HookState;
use OCA\RemoteKeyStorage\Cache\ApcuStore;
use OCA\RemoteKeyStorage\Machine\Swap;

/** Ways in which PHP and the kernel could bring a key back to this disk. None of them keeps a key from being moved. */
final class Leaks {
	public const CODES = ['sessions_hold_key', 'exception_args_logged', 'apcu_on_disk', 'swap_on'];

	/**
	 * As this process sees them; the web server's PHP may be set up differently from the command line's.
	 *
	 * @return array{hook: string, sessionsKeyFree: bool, exceptionArgsIgnored: bool, apcuOnDisk: bool, swapInClear: list<string>}
	 */
	public static function facts(): array {
		return [
			'hook' => HookState::hook(),
			'sessionsKeyFree' => HookState::sessionsKeyFree(),
			'exceptionArgsIgnored' => (bool)ini_get('zend.exception_ignore_args'),
			'apcuOnDisk' => ApcuStore::isOnDisk(),
			'swapInClear' => Swap::inClear(),
		];
	}

	/**
	 * @param array<string, mixed> $facts of facts()
	 * @return list<array{code: string, message: string, hint: string, blocking: bool}>
	 */
	public static function problems(array $facts): array {
		$problems = [];
		$add = static function (string $code, string $message, string $hint) use (&$problems): void {
			$problems[] = ['code' => $code, 'message' => $message, 'hint' => $hint, 'blocking' => false];
		};
		if ($facts['hook'] !== 'off' && !$facts['sessionsKeyFree']) {
			$add(
				'sessions_hold_key',
				'the opened master key still reaches PHP sessions',
				'keep sessions in memory (session.save_path on tmpfs) until the hook supports this version',
			);
		}
		if (!$facts['exceptionArgsIgnored']) {
			$add(
				'exception_args_logged',
				'this PHP writes arguments of failed calls to the log, keys among them',
				'set zend.exception_ignore_args = On for the web server and for the command line',
			);
		}
		if ($facts['apcuOnDisk']) {
			$add(
				'apcu_on_disk',
				'this PHP maps its shared memory (APCu) to a file on a disk, so keys are kept out of it',
				'remove apc.mmap_file_mask from the settings of the web server\'s PHP',
			);
		}
		if ($facts['swapInClear'] !== []) {
			$add(
				'swap_on',
				'what lies in memory, the opened key too, may be written unencrypted to ' . implode(', ', $facts['swapInClear']),
				'switch swap off (`swapoff -a` and /etc/fstab), encrypt it, or use zram',
			);
		}
		return $problems;
	}
}

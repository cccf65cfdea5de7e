<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

/** Why a key is asked for, as the key server's audit log will show it. */
class Reason {
	/**
	 * @param bool $cold is there no cached key at all?
	 * @param list<string> $arguments argv of a CLI
	 */
	public static function of(bool $cold, string $sapi, array $arguments): string {
		if ($sapi !== 'cli' && $sapi !== 'phpdbg') {
			return $cold ? 'cold' : 'expired';
		}
		$command = basename((string)($arguments[0] ?? 'php'), '.php');
		foreach ($command === 'occ' || $command === 'console' ? array_slice($arguments, 1) : [] as $argument) {
			if (strncmp($argument, '-', 1) !== 0) {
				$command = $argument;
				break;
			}
		}
		$command = substr(preg_replace('/[^a-z0-9:_-]+/', '-', strtolower($command)), 0, 48);
		return 'cli:' . (preg_match('/\A[a-z0-9]/', $command) === 1 ? $command : 'php');
	}
}

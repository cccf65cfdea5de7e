<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * What a look at this Nextcloud means: facts in, problems out. A blocking problem must be solved before any key moves.
 */
final class Findings {
	/**
	 * @param array{
	 *     encryptionEnabled: bool, mode: string, masterKeyId: string, migrated: bool, enrolled: bool, hook: string,
	 *     privateKeys: list<array{id: string, bytes: int, sha256: string, local: bool, remote: bool, opens: bool|null}>,
	 *     foreignShareKeys: int, unreadableSamples: list<string>, sessionsKeyFree: bool, exceptionArgsIgnored: bool,
	 *     apcuOnDisk: bool, swapInClear: list<string>, copies: list<array{path: string, kind: string}>,
	 *     integrity: list<string>, unsynced: bool
	 * } $facts
	 * @return list<array{code: string, message: string, hint: string, blocking: bool}>
	 */
	public static function problems(array $facts): array {
		$problems = [];
		$add = static function (string $code, bool $blocking, string $message, string $hint) use (&$problems): void {
			$problems[] = ['code' => $code, 'message' => $message, 'hint' => $hint, 'blocking' => $blocking];
		};
		if (!$facts['encryptionEnabled']) {
			$add(
				'encryption_off',
				true,
				'server-side encryption is not enabled',
				'run `occ app:enable encryption` and `occ encryption:enable`',
			);
		}
		if ($facts['mode'] !== 'master') {
			$refusal = self::userKeyMode();
			$add($refusal->reason(), true, $refusal->getMessage(), $refusal->hint());
		} else {
			self::master($facts, $add);
		}
		foreach ($facts['privateKeys'] as $key) {
			if ($key['local'] && $key['bytes'] === 0) {
				$add('key_unreadable', true, $key['id'] . ' on this disk cannot be read', 'restore this file from a backup first');
			}
		}
		if (!$facts['migrated']) {
			$add(
				'key_format_old',
				true,
				'keys are still in the format of Nextcloud 19',
				'run `occ encryption:migrate-key-storage-format` first',
			);
		}
		self::surroundings($facts, $add);
		return array_merge($problems, Leaks::problems($facts));
	}

	public static function userKeyMode(): Failure {
		return new Failure(
			'user_key_mode',
			'each user has a key of their own, locked by their password; there is no master key to move',
			'only a server with a master key can be moved: decrypt all files, run `occ encryption:enable-master-key`, encrypt again',
		);
	}

	/** @param array<string, mixed> $facts */
	private static function master(array $facts, callable $add): void {
		$id = $facts['masterKeyId'] . '.privateKey';
		$master = null;
		foreach ($facts['privateKeys'] as $key) {
			$master = $key['id'] === $id ? $key : $master;
		}
		if ($facts['masterKeyId'] === '' || $master === null) {
			$add(
				'master_key_missing',
				true,
				$facts['masterKeyId'] === '' ? 'the database names no master key' : $id . ' is neither on this disk nor moved',
				'restore the app config value encryption/masterKeyId and the key files from a backup',
			);
		} elseif ($master['local'] && $master['opens'] !== true) {
			$add(
				'master_key_unusable',
				true,
				'the master key does not open, or its public half is missing or another',
				'check "secret" and "instanceid" in config.php and the public key in files_encryption',
			);
		}
	}

	/** @param array<string, mixed> $facts */
	private static function surroundings(array $facts, callable $add): void {
		if ($facts['hook'] === 'off') {
			$add(
				'hook_off',
				true,
				'this Nextcloud does not ask the key server for keys',
				'see that the app remotekeystorage is enabled and loads without errors in the log',
			);
		}
		if (!$facts['enrolled']) {
			$add('not_enrolled', false, 'this server is not enrolled at a key server', 'run `occ remotekey:enroll`');
		}
		if ($facts['foreignShareKeys'] > 0) {
			$add(
				'foreign_share_keys',
				false,
				$facts['foreignShareKeys'] . ' share keys belong to other keys than the master key, from before master-key mode',
				'those files open with keys of users, public links or recovery too; encrypting them anew ends that',
			);
		}
		foreach ($facts['unreadableSamples'] as $path) {
			$add('sample_unreadable', false, 'Nextcloud cannot decrypt ' . $path, 'older damage: moving makes it no better and no worse');
		}
		if ($facts['unsynced']) {
			$add('no_fsync', false, 'this PHP cannot force a key to the disk', 'PHP 8.1 or newer can');
		}
		if ($facts['integrity'] !== []) {
			$add(
				'integrity_problems',
				false,
				'Nextcloud\'s own integrity check found changed files in: ' . implode(', ', $facts['integrity']),
				'run `occ integrity:check-core` and look at each file before trusting this server with a key',
			);
		}
		$hints = [
			'private_key' => ['key_copy', 'a private key lies in ', 'delete it after the move, and the backups that hold it'],
			'config_backup' => ['config_copy', 'the secret that opens the keys lies in ', 'delete old updater backups'],
			'log' => ['log_holds_key', 'a private key was written to ', 'delete this log after the move'],
			'sessions' => ['sessions_stored', 'sessions begun before the hook may hold the opened key: ', 'delete them after the move'],
			'unread' => ['sessions_unread', 'sessions that this user may not list are in ', 'delete them after the move'],
		];
		foreach ($facts['copies'] as $copy) {
			[$code, $message, $hint] = $hints[$copy['kind']];
			$add($code, false, $message . $copy['path'], $hint);
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/** What the state of an enrolled host means: facts in, problems out. */
final class Diagnosis {
	/** After this the gate `presence` may hold the next release. */
	private const SILENCE_MS = 600000;

	/**
	 * @param array<string, mixed> $facts what Report::gather() collected
	 * @param array<string, mixed> $trouble hookFailure, masterKeyEnabled, encryptionEnabled, failure, rollbackSuspectedAt,
	 *     clockBehind, now (ms)
	 * @return list<array{code: string, message: string, hint: string, blocking: bool}>
	 */
	public static function problems(array $facts, array $trouble): array {
		$problems = [];
		$add = static function (string $code, bool $blocking, string $message, string $hint) use (&$problems): void {
			$problems[] = ['code' => $code, 'message' => $message, 'hint' => $hint, 'blocking' => $blocking];
		};
		if ($trouble['failure'] !== null) {
			$add($trouble['failure']->reason(), true, $trouble['failure']->getMessage(), $trouble['failure']->hint());
		} elseif (!$facts['enrolled']) {
			$add('not_enrolled', false, 'this server is not enrolled at a key server', 'run `ncpatch enroll` or `occ remotekey:enroll`');
		}
		$master = $facts['masterKeyIdInDatabase'] . '.privateKey';
		$wanted = $trouble['encryptionEnabled'] && $trouble['masterKeyEnabled'] && $facts['masterKeyIdInDatabase'] !== '';
		if ($wanted && $trouble['failure'] === null && $facts['keys'] === [] && !in_array($master, $facts['localKeys'], true)) {
			$add(
				'keys_nowhere',
				true,
				$master . ' is neither on this disk nor known to be on the key server',
				'if the keys were moved, run `keyserver client reset` and enrol again; otherwise restore the key files from a backup',
			);
		}
		if ($facts['hook'] === 'off') {
			$add(
				'hook_off',
				$facts['keys'] !== [],
				'this Nextcloud does not ask the key server for keys' . self::because($trouble['hookFailure']),
				'run `ncpatch apply`, or enable the app again and look into the log',
			);
		} elseif ($trouble['hookFailure'] !== null) {
			$add('hook_incomplete', false, 'the hook is not complete' . self::because($trouble['hookFailure']), 'run `ncpatch apply`');
		}
		if ($facts['enrolled']) {
			self::enrolled($facts, $trouble, $add);
		}
		return array_merge($problems, Leaks::problems($facts));
	}

	/**
	 * @param array<string, mixed> $facts
	 * @param array<string, mixed> $trouble
	 */
	private static function enrolled(array $facts, array $trouble, callable $add): void {
		if (!$trouble['masterKeyEnabled'] && $facts['keys'] !== []) {
			$add(
				'user_key_mode',
				true,
				'the encryption app is set to one key per user; new files would not use the key on the key server',
				'run `occ encryption:enable-master-key`',
			);
		}
		if (!$trouble['encryptionEnabled'] && $facts['keys'] !== []) {
			$add(
				'encryption_off',
				false,
				'server-side encryption is switched off, so new files are stored in clear',
				'run `occ encryption:enable`; if Nextcloud 33 refuses it after a decrypt-all, first `occ config:app:delete core'
					. ' encryption_enabled`',
			);
		}
		if (!$facts['link']['present']) {
			$add(
				'link_missing',
				true,
				'the link to the key server is lost',
				'run `keyserver client reset` and enrol again with the code it prints',
			);
		}
		if ($facts['masterKeyId'] !== null && $facts['masterKeyId'] !== $facts['masterKeyIdInDatabase']) {
			$add(
				'master_key_id_changed',
				true,
				'the database names another master key than the one that was moved: '
					. ($facts['masterKeyIdInDatabase'] === '' ? '(none)' : $facts['masterKeyIdInDatabase']),
				'run `occ config:app:set encryption masterKeyId --value=' . $facts['masterKeyId'] . '`',
			);
		}
		if ($facts['breaker']['open'] && in_array($facts['breaker']['code'], ['approval_pending', 'approval_denied'], true)) {
			self::approval($facts['breaker']['code'], $facts['breaker']['detail'] ?? '', $add);
		} elseif ($facts['breaker']['open']) {
			$add(
				'breaker_open',
				true,
				'the key server could not be used lately (' . ($facts['breaker']['code'] ?? 'unknown') . ')',
				'see that it runs and is unsealed and the tunnel is up, then run `occ remotekey:verify`',
			);
		}
		if ($trouble['clockBehind'] !== null) {
			$seconds = intdiv(abs($trouble['clockBehind']) + 500, 1000);
			$add(
				'clock_skew',
				true,
				'the clock of this server is '
					. ($trouble['clockBehind'] > 0 ? $seconds . ' s behind' : 'or was until lately ' . $seconds . ' s ahead of')
					. ' that of the key server, which therefore refuses what it says',
				'set time synchronisation right on both (`timedatectl`), then run `occ remotekey:verify`; after a clock that was ahead'
					. ' the key server listens again within two minutes',
			);
		}
		if ($trouble['rollbackSuspectedAt'] !== null) {
			$add(
				'server_rollback_suspected',
				false,
				'the key server has shown an older audit log than before: it may have been restored from a backup',
				'compare `keyserver audit tail` with what its owner knows, and revoke again what was revoked; once it is explained,'
					. ' run `occ remotekey:status --dismiss-rollback`',
			);
		}
		self::silence($facts, $trouble['now'], $add);
		if ($facts['keys'] === [] && $facts['localKeys'] !== []) {
			$add('keys_local', false, 'the private keys are still on this disk', 'run `ncpatch escrow`');
		}
		$left = array_intersect($facts['keys'], $facts['localKeys']);
		if ($left !== []) {
			$add(
				'keys_left_here',
				false,
				'moved, but still on this disk too: ' . implode(', ', $left),
				'run `occ remotekey:escrow --stage=remove` or, on the way back, `occ remotekey:restore --stage=finish`',
			);
		}
	}

	/** @param array<string, mixed> $facts */
	private static function silence(array $facts, int $now, callable $add): void {
		$answered = $facts['heartbeat']['answered'];
		if ($facts['keys'] === [] || ($answered !== null && $now - $answered <= self::SILENCE_MS)) {
			return;
		}
		$code = $facts['heartbeat']['code'];
		$add(
			'heartbeat_silent',
			false,
			($answered === null
				? 'no heartbeat of this server was answered yet'
				: 'no heartbeat of this server was answered for ' . intdiv($now - $answered, 60000) . ' minutes')
				. ($code === null || $code === 'ok' ? '' : ' (' . $code . ')'),
			'see that its timer runs (`systemctl list-timers`, or /etc/cron.d; `ncpatch apply` installs it), then try'
				. ' `occ remotekey:heartbeat`',
		);
	}

	private static function approval(string $code, string $detail, callable $add): void {
		if ($code === 'approval_pending') {
			$add(
				$code,
				true,
				'the key server waits for a person\'s yes' . ($detail === '' ? '' : ' to ' . $detail),
				'on the key server run `keyserver approval show ' . ($detail === '' ? 'ID' : $detail)
					. '`, then `approval approve` or `approval deny`',
			);
			return;
		}
		$add(
			$code,
			true,
			$detail === 'lapsed'
				? 'a person was asked on the key server, and nobody answered in time'
				: 'a person on the key server said no',
			'on the key server run `keyserver approval list --all`, and `keyserver approval approve` if all is well',
		);
	}

	private static function because(?string $failure): string {
		return $failure === null ? '' : ': ' . $failure;
	}
}

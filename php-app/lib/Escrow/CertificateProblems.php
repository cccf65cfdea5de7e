<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/** What the state of this host's certificate means: facts in, problems out. */
final class CertificateProblems {
	public const CODES = ['certificate_ending', 'certificate_renewal_failing'];
	/** A week before the end it should have been renewed many times over. */
	private const SOON_MS = 604800000;

	/**
	 * @param array{until: int|null, failing: array{since: int, code: string}|null} $certificate ms
	 * @return list<array{code: string, message: string, hint: string, blocking: bool}>
	 */
	public static function problems(array $certificate, int $now): array {
		$until = $certificate['until'];
		if ($until === null) {
			return [];
		}
		if ($now > $until) {
			return [self::problem(
				'certificate_expired',
				true,
				'the certificate of this server for the key server has expired on ' . self::day($until),
				'run `keyserver client reset` and enrol again with the code it prints',
			)];
		}
		$failing = $certificate['failing'];
		if ($failing !== null) {
			return [self::problem(
				'certificate_renewal_failing',
				false,
				'the certificate of this server could not be renewed since ' . self::day($failing['since']) . ' (' . $failing['code']
					. '); it is good until ' . self::day($until),
				'see that the key server can be reached, then run `occ remotekey:certificate --renew`',
			)];
		}
		if ($until - $now < self::SOON_MS) {
			return [self::problem(
				'certificate_ending',
				false,
				'the certificate of this server is good until ' . self::day($until) . ' and nothing has renewed it',
				'see that Nextcloud\'s cron runs, or run `occ remotekey:certificate --renew`',
			)];
		}
		return [];
	}

	/** @return array{code: string, message: string, hint: string, blocking: bool} */
	private static function problem(string $code, bool $blocking, string $message, string $hint): array {
		return ['code' => $code, 'message' => $message, 'hint' => $hint, 'blocking' => $blocking];
	}

	private static function day(int $ms): string {
		return gmdate('Y-m-d H:i', intdiv($ms, 1000)) . ' UTC';
	}
}

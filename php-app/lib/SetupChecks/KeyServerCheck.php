<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\SetupChecks;

use OCA\RemoteKeyStorage\Escrow\CertificateProblems;
use OCA\RemoteKeyStorage\Escrow\Workshop;
use OCP\SetupCheck\ISetupCheck;
use OCP\SetupCheck\SetupResult;

/** In the admin overview: does this server get its keys, and is anything about to stop that? */
final class KeyServerCheck implements ISetupCheck {
	/** What does not stop keys from being fetched, and still must not go unseen. */
	private const TOLD = [...CertificateProblems::CODES, 'server_rollback_suspected', 'heartbeat_silent'];

	public function __construct(private Workshop $workshop) {
	}

	public function getCategory(): string {
		return 'security';
	}

	public function getName(): string {
		return 'Encryption keys on the key server';
	}

	public function run(): SetupResult {
		$report = $this->workshop->report()->gather();
		$blocking = array_values(array_filter($report['problems'], static fn (array $problem): bool => $problem['blocking']));
		if ($blocking !== []) {
			return SetupResult::error(self::text($blocking));
		}
		if (!$report['enrolled'] || $report['keys'] === []) {
			return SetupResult::warning('The private encryption keys are still on this server\'s disk. Move them with `ncpatch escrow`.');
		}
		$worth = array_values(array_filter(
			$report['problems'],
			static fn (array $problem): bool => in_array($problem['code'], self::TOLD, true),
		));
		if ($worth !== []) {
			return SetupResult::warning(self::text($worth));
		}
		return SetupResult::success('The private encryption keys are fetched from the key server.');
	}

	/** @param list<array{message: string, hint: string}> $problems */
	public static function text(array $problems): string {
		$lines = [];
		foreach ($problems as $problem) {
			$lines[] = ucfirst($problem['message']) . ($problem['hint'] === '' ? '.' : ': ' . $problem['hint'] . '.');
		}
		return implode(' ', $lines);
	}
}

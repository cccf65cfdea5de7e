<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\SetupChecks;

use OCA\RemoteKeyStorage\Escrow\Leaks;
use OCA\RemoteKeyStorage\Escrow\Workshop;
use OCP\SetupCheck\ISetupCheck;
use OCP\SetupCheck\SetupResult;

/** In the admin overview: ways in which the key could reach this server's disk after all. */
final class ExposureCheck implements ISetupCheck {
	public function __construct(private Workshop $workshop) {
	}

	public function getCategory(): string {
		return 'security';
	}

	public function getName(): string {
		return 'Encryption keys kept off this disk';
	}

	public function run(): SetupResult {
		$report = $this->workshop->report()->gather();
		if ($report['keys'] === []) {
			return SetupResult::info('Told once the private keys have moved to the key server.');
		}
		$problems = array_values(array_filter(
			$report['problems'],
			static fn (array $problem): bool => in_array($problem['code'], [...Leaks::CODES, 'hook_incomplete'], true),
		));
		return $problems === []
			? SetupResult::success('Sessions, logs and swap of this server stay free of the key.')
			: SetupResult::warning(KeyServerCheck::text($problems));
	}
}

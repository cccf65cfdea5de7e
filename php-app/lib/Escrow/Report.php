<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\AppInfo\HookState;
use OCA\RemoteKeyStorage\Host;
use OCP\IConfig;

/** The state of this host, for `remotekey:status`, the admin page and the setup checks. Looks only, asks nobody. */
final class Report {
	public const VERSION = '1.0.0';

	private IConfig $config;
	private KeysOnDisk $disk;
	private ?Host $host;

	public function __construct(IConfig $config, KeysOnDisk $disk, ?Host $host) {
		$this->config = $config;
		$this->disk = $disk;
		$this->host = $host;
	}

	/**
	 * Never throws: what cannot be read becomes a problem.
	 *
	 * @return array{
	 *     enrolled: bool, clientId: string|null, urls: list<string>, keys: list<string>, localKeys: list<string>,
	 *     masterKeyId: string|null, masterKeyIdInDatabase: string,
	 *     cache: array{apcu: bool, tmpfs: string|null, store: string, age: int|null},
	 *     link: array{present: bool, time: int|null}, breaker: array<string, mixed>,
	 *     heartbeat: array{time: int|null, code: string|null, answered: int|null},
	 *     certificate: array{until: int|null, failing: array<string, mixed>|null},
	 *     lastReleases: list<array<string, mixed>>, sessionsKeyFree: bool, exceptionArgsIgnored: bool, hook: string,
	 *     apcuOnDisk: bool, swapInClear: list<string>, version: string, dir: string|null,
	 *     problems: list<array{code: string, message: string, hint: string, blocking: bool}>
	 * }
	 */
	public function gather(): array {
		$facts = [
			'enrolled' => false,
			'clientId' => null,
			'urls' => [],
			'keys' => [],
			'localKeys' => [],
			'masterKeyId' => null,
			'masterKeyIdInDatabase' => $this->config->getAppValue('encryption', 'masterKeyId', ''),
			'cache' => ['apcu' => false, 'tmpfs' => null, 'store' => 'process', 'age' => null],
			'link' => ['present' => false, 'time' => null],
			'breaker' => ['open' => false, 'failures' => 0, 'until' => null, 'code' => null],
			'heartbeat' => ['time' => null, 'code' => null, 'answered' => null],
			'certificate' => ['until' => null, 'failing' => null],
			'lastReleases' => [],
			'version' => self::VERSION,
			'dir' => null,
		] + Leaks::facts();
		$trouble = [
			'hookFailure' => HookState::failure(),
			'masterKeyEnabled' => $this->config->getAppValue('encryption', 'useMasterKey', '1') === '1',
			'encryptionEnabled' => $this->config->getAppValue('core', 'encryption_enabled', 'no') === 'yes',
			'failure' => null,
			'rollbackSuspectedAt' => null,
			'clockBehind' => null,
			'now' => (int)(microtime(true) * 1000),
		];
		try {
			$facts['localKeys'] = $this->disk->ids();
			$facts = $this->host === null ? $facts : $this->read($this->host, $facts);
			if ($this->host !== null) {
				$trouble['rollbackSuspectedAt'] = $this->host->rollback()->suspectedAt();
				$trouble['clockBehind'] = $this->host->releases()->clockBehind();
			}
		} catch (\Throwable $error) {
			$trouble['failure'] = Failure::from($error);
		}
		$facts['problems'] = array_merge(
			Diagnosis::problems($facts, $trouble),
			CertificateProblems::problems($facts['certificate'], $trouble['now']),
		);
		return $facts;
	}

	/**
	 * @param array<string, mixed> $facts
	 * @return array<string, mixed>
	 */
	private function read(Host $host, array $facts): array {
		$facts['dir'] = $host->folder()->path();
		$host->folder()->assertUsable();
		$credentials = $host->credentials();
		if ($credentials === null) {
			return $facts;
		}
		$facts['enrolled'] = true;
		$facts['clientId'] = $credentials->clientId();
		$facts['urls'] = $credentials->urls();
		$facts['keys'] = $credentials->keys();
		$facts['masterKeyId'] = $credentials->masterKeyId();
		$facts['link'] = ['present' => $host->links()->isPresent(), 'time' => $host->links()->time()];
		$facts['breaker'] = $host->breaker()->state();
		$facts['heartbeat'] = $host->heartbeats()->last();
		$certificate = $host->certificate()->describe();
		$facts['certificate'] = [
			'until' => $certificate === null ? null : $certificate['until'],
			'failing' => $host->renewals()->last(),
		];
		$facts['lastReleases'] = $host->releases()->recent();
		$facts['cache'] = $host->cache()->describe();
		$facts['cache']['age'] = $credentials->masterKeyId() === null
			? null
			: $host->cache()->age($credentials->masterKeyId() . '.privateKey');
		return $facts;
	}
}

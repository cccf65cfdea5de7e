<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\Credentials;

/** The list of moved keys in client.json. Changed only under the lock every exchange holds. */
final class ClientFile implements MovedKeys {
	private const LOCK_SECONDS = 10.0;

	private ?Host $host;

	/** @param Host|null $host null when this Nextcloud names no state folder */
	public function __construct(?Host $host) {
		$this->host = $host;
	}

	public function ids(): array {
		try {
			$credentials = $this->host === null ? null : Credentials::load($this->host->folder());
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
		return $credentials === null ? [] : $credentials->keys();
	}

	public function replace(array $ids, ?string $masterKeyId): void {
		if ($this->host === null) {
			throw self::notEnrolled();
		}
		try {
			$lock = $this->host->folder()->lock(self::LOCK_SECONDS);
			try {
				$credentials = Credentials::load($this->host->folder());
				if ($credentials === null) {
					throw self::notEnrolled();
				}
				$changed = $credentials->withKeys($ids);
				if ($masterKeyId !== null) {
					$changed = $changed->withMasterKeyId($masterKeyId);
				}
				$changed->save($this->host->folder());
			} finally {
				$lock->release();
			}
			$this->host->reload();
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
	}

	public function dropCaches(): void {
		if ($this->host === null) {
			return;
		}
		try {
			$this->host->cache()->forget();
			$this->host->purgeMarker()->raise();
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
	}

	public static function notEnrolled(): Failure {
		return new Failure('not_enrolled', 'this server is not enrolled at a key server', 'run `occ remotekey:enroll` first');
	}
}

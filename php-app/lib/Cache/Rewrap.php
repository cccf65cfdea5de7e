<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

/**
 * Nextcloud's private-key container (apps/encryption Crypt). The stored one costs 600,000 PBKDF2 rounds to open; the
 * same key under header `keyFormat:password` opens in a millisecond, and both open with the instance secret alone.
 */
class Rewrap {
	/** @param string $secret config.php "secret" */
	public function __construct(#[\SensitiveParameter] string $secret, string $instanceId) {
	}

	/**
	 * The PEM inside a stored blob.
	 *
	 * @param string $uid '' for system keys, the master key's own id for the master key
	 * @throws \OCA\RemoteKeyStorage\State\StateError code blob_format or blob_signature
	 */
	public function open(#[\SensitiveParameter] string $blob, string $uid): string {
		throw new \LogicException('not built yet');
	}

	/** The same key, cheap to open. RAM only: never write the result to a disk. */
	public function rewrap(#[\SensitiveParameter] string $blob, string $uid): string {
		throw new \LogicException('not built yet');
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * Which private keys this server takes from the key server instead of its own disk (`keys` in client.json).
 */
interface MovedKeys {
	/** @return list<string> */
	public function ids(): array;

	/**
	 * Durable when it returns; requests that start afterwards obey it.
	 *
	 * @param list<string> $ids
	 * @param string|null $masterKeyId the master key these belong to, e.g. `master_1c3e56e0`; null leaves it as it was
	 */
	public function replace(array $ids, ?string $masterKeyId): void;

	/** Makes every cache of this host forget its keys. */
	public function dropCaches(): void;
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

/** Answers "the bytes of this remote key, please" from RAM, or by one exchange per host at a time. */
class KeySource {
	/**
	 * Bytes that Nextcloud's Crypt can open; the master key re-wrapped.
	 *
	 * @throws \OCP\Encryption\Exceptions\GenericEncryptionException always, never an empty string
	 */
	public function get(string $keyId): string {
		throw new \LogicException('not built yet');
	}

	/**
	 * A real release now, past cache and breaker; a success closes the breaker. Bytes exactly as the server holds them.
	 *
	 * @param list<string> $keyIds
	 * @param string $reason verify | restore | cli:<command>
	 * @return array<string, string>
	 * @throws \OCA\RemoteKeyStorage\Wire\WireError
	 * @throws \OCA\RemoteKeyStorage\State\StateError
	 */
	public function fresh(array $keyIds, string $reason): array {
		throw new \LogicException('not built yet');
	}
}

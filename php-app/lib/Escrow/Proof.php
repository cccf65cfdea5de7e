<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * Shows that key bytes really open what they should open.
 */
interface Proof {
	/**
	 * Opens the private key and lets it undo what the public half on this disk has sealed.
	 *
	 * @return bool|null null when it cannot be told (a recovery key's password is its owner's)
	 */
	public function opens(string $id, string $blob): ?bool;

	/**
	 * Decrypts real files with this master key. Files that neither it nor Nextcloud can read do not count.
	 *
	 * @param bool $asNextcloud compare with what Nextcloud reads at this moment; otherwise the files' signatures decide
	 * @return int how many files were decrypted
	 * @throws Failure `sample_differs`
	 */
	public function files(string $masterId, string $blob, bool $asNextcloud): int;

	/**
	 * Asks for the key the way Nextcloud does, through whatever storage is in place.
	 *
	 * @throws Failure when no usable key comes back
	 */
	public function live(string $id): string;

	/** Whether keys that have moved would be fetched by this very Nextcloud: `app`, `core` or `off`. */
	public function hook(): string;
}

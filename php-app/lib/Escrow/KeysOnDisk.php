<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * The private system keys in this server's own key folder, as the stock Nextcloud sees them. The blobs are what
 * `getSystemUserKey` answers: private keys still encrypted under the instance's secret.
 */
interface KeysOnDisk {
	/** @return list<string> ids, sorted; unreadable files included */
	public function ids(): array;

	/** @return string|null null when there is no such file
	 * @throws Failure `local_key_unreadable` */
	public function read(string $id): ?string;

	/** Whole or not at all, and on the platter when it returns.
	 * @throws Failure `local_key_not_written` */
	public function write(string $id, string $blob): void;

	/** Gone for good when it returns; a missing file is fine. Unfinished writes of this key go too.
	 * @throws Failure `local_key_not_removed` */
	public function remove(string $id): void;

	/** PEM of the public half, null when there is none. */
	public function publicHalf(string $id): ?string;
}

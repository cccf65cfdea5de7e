<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OC\Encryption\Keys\Storage;

/** Nextcloud's key storage, except that the ids in client.json `keys` come from the key server. */
class RemoteKeyStorage extends Storage {
	/**
	 * KeySource::fresh() of this instance's host.
	 *
	 * @param list<string> $keyIds
	 * @return array<string, string>
	 */
	public function releaseFresh(array $keyIds, string $reason): array {
		throw new \LogicException('not built yet');
	}

	/** What stock Nextcloud would answer: the local file, '' when there is none. For escrow and restore. */
	public function localSystemUserKey(string $keyId, string $moduleId): string {
		throw new \LogicException('not built yet');
	}

	/** Write the local file although the id is remote. For restore only. */
	public function writeLocalSystemUserKey(string $keyId, #[\SensitiveParameter] string $key, string $moduleId): bool {
		throw new \LogicException('not built yet');
	}

	/** Delete the local file although the id is remote. For escrow --stage=remove only. */
	public function deleteLocalSystemUserKey(string $keyId, string $moduleId): bool {
		throw new \LogicException('not built yet');
	}
}

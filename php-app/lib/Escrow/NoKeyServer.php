<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/** Stands where a key server would be on a server that is not enrolled. */
final class NoKeyServer implements Custody {
	public function release(array $ids, string $reason): array {
		throw ClientFile::notEnrolled();
	}

	public function store(string $id, #[\SensitiveParameter] string $blob, #[\SensitiveParameter] string $grant): void {
		throw ClientFile::notEnrolled();
	}
}

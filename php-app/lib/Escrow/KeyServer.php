<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\Host;

/** The key server this host is enrolled at. */
final class KeyServer implements Custody {
	private Host $host;

	public function __construct(Host $host) {
		$this->host = $host;
	}

	public function release(array $ids, string $reason): array {
		if ($ids === []) {
			return [];
		}
		try {
			$released = $this->host->keys()->fresh($ids, $reason);
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
		foreach ($ids as $id) {
			if (!isset($released[$id]) || $released[$id] === '') {
				throw new Failure('bad_answer', 'the key server left out ' . $id);
			}
		}
		return $released;
	}

	public function store(string $id, #[\SensitiveParameter] string $blob, #[\SensitiveParameter] string $grant): void {
		try {
			$stored = $this->host->client()->putKey($id, $blob, $grant);
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
		if ($stored['sha256'] !== hash('sha256', $blob)) {
			throw new Failure('bad_answer', 'the key server acknowledged other bytes than it was sent for ' . $id);
		}
	}
}

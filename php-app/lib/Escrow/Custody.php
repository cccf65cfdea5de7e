<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * The key server, asked directly: no cache answers in its place.
 */
interface Custody {
	/**
	 * One whole exchange.
	 *
	 * @param list<string> $ids
	 * @param string $reason one of the protocol's reasons, e.g. `verify`, `restore`, `cli:escrow`
	 * @return array<string, string> id → blob, exactly the ids asked for
	 * @throws Failure
	 */
	public function release(array $ids, string $reason): array;

	/**
	 * Stores a key once; the same bytes again are fine.
	 *
	 * @throws Failure `key_exists` when other bytes are stored under this id, `grant_refused`
	 */
	public function store(string $id, string $blob, string $grant): void;
}

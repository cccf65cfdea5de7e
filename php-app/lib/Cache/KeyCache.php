<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

/** Released keys in RAM: APCu under a web server, a 0600 file on tmpfs under CLI, else this process alone. */
class KeyCache {
	/** Drop the keys held by this SAPI. Other SAPIs: PurgeMarker::raise(). */
	public function forget(): void {
	}

	/** apcu | tmpfs | process */
	public function storeName(): string {
		throw new \LogicException('not built yet');
	}

	/** Seconds since the key was released, as this SAPI sees it; null when it is not cached or no longer valid. */
	public function age(string $keyId): ?int {
		throw new \LogicException('not built yet');
	}

	/**
	 * @return array{apcu: bool, tmpfs: string|null, store: string} usable APCu here, tmpfs folder in use or null
	 */
	public function describe(): array {
		throw new \LogicException('not built yet');
	}
}

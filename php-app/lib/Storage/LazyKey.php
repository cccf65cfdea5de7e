<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

/**
 * Stands for a key's bytes where Nextcloud mostly wants to know that there are any: it asks for the private key on every
 * request and looks at it on few. Fetches on first use as a string, or throws.
 */
class LazyKey implements \Stringable {
	/** @var callable(): string */
	private $fetch;
	private ?string $bytes = null;

	/** @param callable(): string $fetch never gives an empty string */
	public function __construct(callable $fetch) {
		$this->fetch = $fetch;
	}

	public function __toString(): string {
		return $this->bytes ??= ($this->fetch)();
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return [];
	}

	/** @return array<string, mixed> */
	public function __serialize(): array {
		throw new \LogicException('a key is not to be stored');
	}

	/** @param array<string, mixed> $data */
	public function __unserialize(array $data): void {
		throw new \LogicException('a key is not to be stored');
	}
}

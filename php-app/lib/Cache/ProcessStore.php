<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

/** This process's memory: the last resort, dies with the request. */
class ProcessStore implements RamStore {
	/** @var array<string, string> */
	private array $values = [];

	public function name(): string {
		return 'process';
	}

	public function get(string $name): ?string {
		return $this->values[$name] ?? null;
	}

	public function set(string $name, #[\SensitiveParameter] string $value, int $seconds): void {
		$this->values[$name] = $value;
	}

	public function delete(string $name): void {
		unset($this->values[$name]);
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return [];
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

/** A place for small values that never touches a disk. Losing a value is always allowed. */
interface RamStore {
	/** apcu | tmpfs | process */
	public function name(): string;

	public function get(string $name): ?string;

	/** @param int $seconds the value may be dropped after that */
	public function set(string $name, #[\SensitiveParameter] string $value, int $seconds): void;

	public function delete(string $name): void;
}

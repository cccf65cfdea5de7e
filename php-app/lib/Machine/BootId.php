<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Machine;

/** The kernel's id of this boot, and how long it has been up. */
class BootId {
	/** Lower-case UUID; null where there is none (not Linux). */
	public static function current(): ?string {
		throw new \LogicException('not built yet');
	}

	/** Whole seconds; 0 where it cannot be told. */
	public static function uptime(): int {
		throw new \LogicException('not built yet');
	}
}

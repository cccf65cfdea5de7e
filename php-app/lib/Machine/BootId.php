<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Machine;

/** The kernel's id of this boot, and how long it has been up. */
class BootId {
	/** Lower-case UUID; null where there is none (not Linux). */
	public static function current(): ?string {
		$text = strtolower(trim((string)@file_get_contents('/proc/sys/kernel/random/boot_id')));
		return preg_match('/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/', $text) === 1 ? $text : null;
	}

	/** Whole seconds; 0 where it cannot be told. */
	public static function uptime(): int {
		return preg_match('/\A([0-9]{1,12})\./', (string)@file_get_contents('/proc/uptime'), $match) === 1 ? (int)$match[1] : 0;
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Machine;

/** A soft sign of the machine: SHA-256 over what the web user can read of it. A copy may fake it. */
class Fingerprint {
	/** 64 hex digits, or null when nothing could be read. */
	public static function current(): ?string {
		throw new \LogicException('not built yet');
	}
}

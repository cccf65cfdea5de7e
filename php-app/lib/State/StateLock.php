<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/** A held lock; released by release() or when it goes out of scope. */
class StateLock {
	public function release(): void {
	}
}

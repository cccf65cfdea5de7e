<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/** A held lock; released by release(), when it goes out of scope, or when the process dies. */
class StateLock {
	/** @var resource|null */
	private $handle;

	/** @param resource $handle flocked */
	public function __construct($handle) {
		$this->handle = $handle;
	}

	public function release(): void {
		if ($this->handle !== null) {
			flock($this->handle, LOCK_UN);
			fclose($this->handle);
			$this->handle = null;
		}
	}

	public function __destruct() {
		$this->release();
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * The state folder cannot be used as it is. getMessage() says what and hint() what to do; neither holds a secret.
 * code(): state_missing, state_mode, state_owner, state_format, state_write, state_busy, state_version.
 */
class StateError extends \RuntimeException {
	private string $errorCode;
	private string $hint;

	public function __construct(string $errorCode, string $message, string $hint = '', ?\Throwable $previous = null) {
		parent::__construct($message, 0, $previous);
		$this->errorCode = $errorCode;
		$this->hint = $hint;
	}

	public function code(): string {
		return $this->errorCode;
	}

	public function hint(): string {
		return $this->hint;
	}
}

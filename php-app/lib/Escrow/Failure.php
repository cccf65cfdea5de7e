<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Wire\WireError;

/**
 * A step that was refused or broke. `reason` is stable and meant for programs, the message and the hint are for
 * people; none of them ever carries key bytes, credentials or the text of a foreign error.
 */
final class Failure extends \RuntimeException {
	private string $reason;
	private string $hint;

	public function __construct(string $reason, string $message, string $hint = '', ?\Throwable $previous = null) {
		parent::__construct($message, 0, $previous);
		$this->reason = $reason;
		$this->hint = $hint;
	}

	/** The same refusal in one shape, whoever raised it; what is not known to be harmless keeps its text to itself. */
	public static function from(\Throwable $error): self {
		if ($error instanceof self) {
			return $error;
		}
		if ($error instanceof WireError || $error instanceof StateError) {
			return new self($error->code(), $error->getMessage(), $error->hint(), $error);
		}
		return new self(
			'internal_error',
			'an unexpected ' . (new \ReflectionClass($error))->getShortName()
				. ' at ' . basename($error->getFile()) . ':' . $error->getLine(),
			'its text is left out because it may quote a key',
			$error,
		);
	}

	/** snake_case, stable */
	public function reason(): string {
		return $this->reason;
	}

	/** what to do next, '' when there is nothing to say */
	public function hint(): string {
		return $this->hint;
	}
}

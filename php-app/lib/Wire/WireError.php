<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/**
 * An exchange did not end well. code(): the server's problem code (unauthorized, source_refused, locked, killed,
 * sealed, degraded, rate_limited, stale_message, approval_pending, key_exists, grant_refused, not_found,
 * invalid_request, …) or one of ours: unreachable, timeout, tls_failed, bad_answer.
 */
class WireError extends \RuntimeException {
	private string $errorCode;
	private int $status;
	private ?int $retryAfter;
	private string $detail;

	/**
	 * @param int $status HTTP status, 0 when there was no answer
	 * @param int|null $retryAfter seconds
	 * @param string $detail "reason" of a 423, "approval" of a 202, else ''
	 */
	public function __construct(
		string $errorCode,
		string $message,
		int $status = 0,
		?int $retryAfter = null,
		string $detail = '',
	) {
		parent::__construct($message);
		$this->errorCode = $errorCode;
		$this->status = $status;
		$this->retryAfter = $retryAfter;
		$this->detail = $detail;
	}

	public function code(): string {
		return $this->errorCode;
	}

	public function status(): int {
		return $this->status;
	}

	public function retryAfter(): ?int {
		return $this->retryAfter;
	}

	public function detail(): string {
		return $this->detail;
	}

	/** The server was reached and refuses this client: caches must go. */
	public function isDenial(): bool {
		return in_array($this->errorCode, ['unauthorized', 'source_refused', 'locked', 'killed'], true);
	}

	/** What an administrator can do about it, in one sentence. */
	public function hint(): string {
		throw new \LogicException('not built yet');
	}
}

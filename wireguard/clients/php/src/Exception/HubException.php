<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/**
 * What a hub refused, or why it could not be asked. Compare classes or codes, never messages. A message names the hub, the code and the
 * field, and holds nothing that was sent or answered.
 */
abstract class HubException extends \RuntimeException {
	/**
	 * @param string $errorCode the hub's own, in capitals, or one of this client's: connection_failed, tls_failed, timeout, bad_answer, …
	 * @param int $status of HTTP; 0 where there was no answer. getCode() is the same.
	 * @param string|null $field of the request that is wrong
	 * @param string|null $detail the hub's own sentence
	 * @param int|null $retryAfter seconds
	 */
	public function __construct(
		string $message,
		public readonly string $errorCode,
		public readonly int $status = 0,
		public readonly ?string $field = null,
		public readonly ?string $detail = null,
		public readonly ?int $retryAfter = null
	) {
		parent::__construct($message, $status);
	}
}

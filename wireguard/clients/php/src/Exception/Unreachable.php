<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** No answer came: nobody listens, its certificate does not hold, or it took too long. */
final class Unreachable extends HubException {
	/** @param bool $mayHaveHappened false when nothing of the request had left, so that it can be sent again, here or elsewhere */
	public function __construct(string $message, string $errorCode, public readonly bool $mayHaveHappened) {
		parent::__construct($message, $errorCode);
	}
}

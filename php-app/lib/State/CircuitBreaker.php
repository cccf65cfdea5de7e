<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/** breaker.json: after a failed exchange nobody on this host tries again for a while, so that no PHP worker waits. */
class CircuitBreaker {
	public function __construct(StateFolder $folder) {
	}

	/** @return array{open: bool, failures: int, until: int|null, code: string|null} until in ms */
	public function state(): array {
		throw new \LogicException('not built yet');
	}

	/** After enrolment, or when an operator has repaired the cause. */
	public function reset(): void {
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/** releases.json: the last 20 exchanges for the admin page. No secrets, no key bytes. */
class ReleaseLog {
	public function __construct(StateFolder $folder) {
	}

	/**
	 * Never throws: a full disk must not cost a release that has already happened.
	 *
	 * @param string $outcome released | denied | held | unavailable
	 * @param string $code "" or the error code
	 */
	public function add(string $reason, string $outcome, string $code, int $milliseconds): void {
	}

	/**
	 * Newest first.
	 *
	 * @return list<array{time: int, reason: string, outcome: string, code: string, ms: int, sapi: string}> time in ms
	 */
	public function recent(): array {
		throw new \LogicException('not built yet');
	}

	/** Has the key server shown an audit head older than one seen before (restored from a backup)? ms, or null. */
	public function rollbackSuspectedAt(): ?int {
		throw new \LogicException('not built yet');
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * link.json: where this host stands in the chain. Every write is durable before it returns and must happen under
 * StateFolder::lock(). After a crash at any point the newest stored link is the one to open with.
 */
class LinkState {
	public function __construct(StateFolder $folder) {
	}

	/** First link after enrolment; replaces what was there. Starts the time stamps again. */
	public function start(#[\SensitiveParameter] string $link, int $nowMs): void {
	}

	/** Is there a readable link.json? */
	public function isPresent(): bool {
		throw new \LogicException('not built yet');
	}

	/** Time stamp of the last message sent, ms; null when there is none. */
	public function time(): ?int {
		throw new \LogicException('not built yet');
	}

	/** @return array{seq: int, head: string}|null highest audit head seen */
	public function seen(): ?array {
		throw new \LogicException('not built yet');
	}
}

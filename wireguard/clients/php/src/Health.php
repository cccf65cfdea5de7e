<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

/** Whether a hub lives. It asks for no token. */
final class Health {
	/** @param string $status `online`, or `degraded` while one of its interfaces is down */
	public function __construct(
		public readonly string $status,
		public readonly string $server,
		public readonly ?\DateTimeImmutable $timestamp
	) {
	}

	/** @internal */
	public static function from(Answer $answer): self {
		return new self($answer->text('status'), $answer->text('server'), $answer->time('timestamp'));
	}

	public function isOnline(): bool {
		return $this->status === 'online';
	}
}

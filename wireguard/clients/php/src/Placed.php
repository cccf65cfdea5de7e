<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

use LatchkeyHub\Exception\HubException;

/** A new device, and the hub of the pool that took it. */
final class Placed {
	/**
	 * @param string $hub its name in the pool: keep it beside the public key
	 * @param array<string, HubException> $passedOver hubs that were asked and could not take it, for the log
	 */
	public function __construct(
		public readonly string $hub,
		public readonly Device $device,
		public readonly array $passedOver
	) {
	}
}

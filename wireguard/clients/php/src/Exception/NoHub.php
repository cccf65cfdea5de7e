<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** None of several hubs could take the device; each with its reason. */
final class NoHub extends HubException {
	/** @param array<string, HubException> $reasons by the hub's name */
	public function __construct(public readonly array $reasons) {
		$words = [];
		foreach ($reasons as $name => $reason) {
			$words[] = $name . ': ' . $reason->errorCode;
		}
		parent::__construct('no hub could take the device (' . implode(', ', $words) . ')', 'no_hub');
	}
}

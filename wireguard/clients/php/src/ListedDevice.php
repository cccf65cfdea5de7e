<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

/** A device with what the hub's interface showed of it when it was looked at last, which it is every few seconds. */
final class ListedDevice {
	/**
	 * @param string $status pending (never heard), active, inactive, disabled
	 * @param string|null $endpoint where it was heard from
	 * @param list<string> $allowedIps empty while it is not on the interface
	 * @param \DateTimeImmutable|null $lastHandshake null for none since the interface was made
	 * @param int $transferRx bytes that the hub received from it, since the interface was made
	 * @param int $transferTx bytes that the hub sent to it
	 */
	public function __construct(
		public readonly string $publicKey,
		public readonly ?string $userId,
		public readonly string $deviceName,
		public readonly string $status,
		public readonly ?string $endpoint,
		public readonly array $allowedIps,
		public readonly ?\DateTimeImmutable $lastHandshake,
		public readonly int $transferRx,
		public readonly int $transferTx
	) {
	}

	/** @internal */
	public static function from(Answer $row): self {
		return new self(
			$row->text('public_key'),
			$row->textOrNull('user_id'),
			$row->text('device_name'),
			$row->text('status'),
			$row->textOrNull('endpoint'),
			$row->texts('allowed_ips'),
			$row->time('last_handshake'),
			$row->whole('transfer_rx'),
			$row->whole('transfer_tx')
		);
	}
}

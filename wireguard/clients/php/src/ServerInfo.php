<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

/** What a hub tells of one of its interfaces. */
final class ServerInfo {
	/**
	 * @param string $status `online`, or `degraded` while the interface is down
	 * @param string $ip where devices reach it; may be a name
	 * @param list<string> $dns
	 * @param list<string> $networks
	 * @param string|null $amneziaWg the oldest AmneziaWG that understands it; null where plain WireGuard does
	 */
	public function __construct(
		public readonly string $name,
		public readonly string $status,
		public readonly string $interface,
		public readonly string $ip,
		public readonly int $port,
		public readonly string $publicKey,
		public readonly array $dns,
		public readonly array $networks,
		public readonly int $freeAddresses,
		public readonly ?string $amneziaWg
	) {
	}

	/** @internal */
	public static function from(Answer $answer): self {
		return new self(
			$answer->text('name'),
			$answer->text('status'),
			$answer->text('interface'),
			$answer->text('ip'),
			$answer->whole('port'),
			$answer->text('public_key'),
			$answer->texts('dns'),
			$answer->texts('networks'),
			$answer->whole('free_addresses'),
			$answer->textOrNull('amneziawg')
		);
	}

	public function isOnline(): bool {
		return $this->status === 'online';
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

/** A new device. Its private key is in the configuration and nowhere else: who loses it makes another device. */
final class Device {
	/**
	 * @param string $config the file for the device
	 * @param string $publicKey keep it: by it the device is removed
	 * @param string $assignedIp the address inside of the tunnel; the IPv4 one where there are two
	 * @param string|null $qrCode `data:image/png;base64,…`; null where the configuration is longer than a QR code
	 * @param string|null $qrReason why there is none
	 * @param string $client the program that takes it: `wireguard`, or one of AmneziaWG
	 * @param bool $live false when the hub's interface takes the device up within a minute, and not yet
	 */
	public function __construct(
		#[\SensitiveParameter]
		public readonly string $config,
		public readonly string $publicKey,
		public readonly string $assignedIp,
		public readonly ?string $assignedIp6,
		#[\SensitiveParameter]
		public readonly ?string $qrCode,
		public readonly ?string $qrReason,
		public readonly string $serverName,
		public readonly string $client,
		public readonly bool $live
	) {
	}

	/** @internal */
	public static function from(Answer $answer): self {
		return new self(
			$answer->text('config'),
			$answer->text('public_key'),
			$answer->text('assigned_ip'),
			$answer->textOrNull('assigned_ip6'),
			$answer->textOrNull('qr_code'),
			$answer->textOrNull('qr_reason'),
			$answer->text('server_name'),
			$answer->text('client'),
			$answer->flag('live')
		);
	}

	/** @return array<string, mixed> for var_dump() and the like: without the private key, which the picture shows too */
	public function __debugInfo(): array {
		return ['publicKey' => $this->publicKey, 'assignedIp' => $this->assignedIp, 'serverName' => $this->serverName];
	}
}

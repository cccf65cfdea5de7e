<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** One link of the chain: a 32-byte credential, good once, written as 43 characters of base64url. */
class Link {
	private string $bytes;

	private function __construct(#[\SensitiveParameter] string $bytes) {
		$this->bytes = $bytes;
	}

	/** @return self|null null unless the text is the one canonical form of 32 bytes */
	public static function parse(#[\SensitiveParameter] string $text): ?self {
		$bytes = Encoding::fromBase64Url($text, 32);
		return $bytes === null ? null : new self($bytes);
	}

	public function text(): string {
		return Encoding::toBase64Url($this->bytes);
	}

	/** A name for the link that tells nothing about it: 16 hex digits. */
	public function id(): string {
		return substr(hash('sha256', 'id' . $this->bytes), 0, 16);
	}

	/** Proof of holding the link without spending it: 64 hex digits, bound to the time and the boot. */
	public function proof(int $timeMs, string $bootId): string {
		return hash_hmac('sha256', $this->id() . '|' . $timeMs . '|' . $bootId, hash('sha256', $this->bytes, true));
	}

	/** @return array<string, string> */
	public function __debugInfo(): array {
		return ['id' => $this->id()];
	}
}

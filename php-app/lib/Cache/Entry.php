<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

/** One released key in RAM, with all that decides how long it may serve. */
class Entry {
	private string $blob;
	private string $digest;
	private int $releasedAt;
	private int $ttl;
	private int $staleIfError;
	private string $stamp;

	/**
	 * @param string $blob what Nextcloud is given
	 * @param string $digest SHA-256 (hex) of the bytes as the key server holds them
	 * @param int $releasedAt ms
	 * @param string $stamp of the purge marker before the release began
	 */
	public function __construct(
		#[\SensitiveParameter]
		string $blob,
		string $digest,
		int $releasedAt,
		int $ttl,
		int $staleIfError,
		string $stamp
	) {
		$this->blob = $blob;
		$this->digest = $digest;
		$this->releasedAt = $releasedAt;
		$this->ttl = $ttl;
		$this->staleIfError = $staleIfError;
		$this->stamp = $stamp;
	}

	public static function parse(#[\SensitiveParameter] string $text): ?self {
		$fields = explode(' ', $text, 7);
		$blob = count($fields) === 7 ? base64_decode($fields[6], true) : false;
		if ($blob === false || $blob === '' || $fields[0] !== '1') {
			return null;
		}
		return new self($blob, $fields[1], (int)$fields[2], (int)$fields[3], (int)$fields[4], $fields[5]);
	}

	public function toText(): string {
		return implode(' ', [
			'1', $this->digest, $this->releasedAt, $this->ttl, $this->staleIfError, $this->stamp, base64_encode($this->blob),
		]);
	}

	public function blob(): string {
		return $this->blob;
	}

	public function digest(): string {
		return $this->digest;
	}

	/** Seconds since the release. */
	public function age(int $nowMs): int {
		return max(0, intdiv($nowMs - $this->releasedAt, 1000));
	}

	public function isFresh(int $nowMs): bool {
		return $nowMs - $this->releasedAt < $this->ttl * 1000;
	}

	/** May it still serve, if need be without the key server's word? Not after a purge, nor from the future. */
	public function isUsable(int $nowMs, string $stamp): bool {
		return hash_equals($this->stamp, $stamp)
			&& $nowMs - $this->releasedAt < $this->lifetime() * 1000
			&& $this->releasedAt - $nowMs < 60000;
	}

	/** Seconds from the release to the moment it must be gone. */
	public function lifetime(): int {
		return max($this->ttl, $this->staleIfError);
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return ['releasedAt' => $this->releasedAt];
	}
}

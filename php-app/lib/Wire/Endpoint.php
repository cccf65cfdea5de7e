<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** A key server's base URL, as the operator wrote it. */
class Endpoint {
	private string $base;

	private function __construct(string $base) {
		$this->base = $base;
	}

	/**
	 * https://host[:port], or http:// on loopback only. No path, no user, no query.
	 *
	 * @return self|null null for anything else
	 */
	public static function parse(string $url): ?self {
		$parts = parse_url($url);
		if (
			preg_match('#\Ahttps?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?/?\z#', $url) !== 1
			|| !is_array($parts) || !isset($parts['scheme'], $parts['host']) || ($parts['port'] ?? 443) < 1
		) {
			return null;
		}
		if ($parts['scheme'] === 'http' && !self::isLoopback($parts['host'])) {
			return null;
		}
		return new self(rtrim($url, '/'));
	}

	public function at(string $path): string {
		return $this->base . $path;
	}

	public function base(): string {
		return $this->base;
	}

	private static function isLoopback(string $host): bool {
		return $host === '[::1]' || $host === 'localhost' || (
			strncmp($host, '127.', 4) === 0 && filter_var($host, FILTER_VALIDATE_IP, FILTER_FLAG_IPV4) !== false
		);
	}
}

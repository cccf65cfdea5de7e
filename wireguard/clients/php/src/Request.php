<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

/**
 * One request to one hub, ready to be sent.
 *
 * @internal
 */
final class Request {
	/**
	 * @param string $server scheme, host and port, for messages
	 * @param list<string> $headers
	 */
	public function __construct(
		public readonly string $server,
		public readonly string $method,
		public readonly string $url,
		#[\SensitiveParameter]
		private readonly array $headers,
		public readonly ?string $body,
		public readonly float $timeout,
		public readonly float $connectTimeout,
		public readonly ?string $caFile
	) {
	}

	/** @return list<string> */
	public function headers(): array {
		return $this->headers;
	}

	/** @return array<string, mixed> without the token, which is among the headers */
	public function __debugInfo(): array {
		return ['method' => $this->method, 'url' => $this->url];
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

/**
 * One request on its way, and what has come back of its answer.
 *
 * @internal
 */
final class Call {
	private const MAX_BYTES = 4194304;
	private string $body = '';
	private ?int $retryAfter = null;
	private bool $tooLong = false;

	public function __construct(public readonly \CurlHandle $curl) {
		curl_setopt($curl, CURLOPT_WRITEFUNCTION, function ($curl, #[\SensitiveParameter] string $data): int {
			$this->tooLong = strlen($this->body) + strlen($data) > self::MAX_BYTES;
			$this->body .= $this->tooLong ? '' : $data;
			return $this->tooLong ? 0 : strlen($data);
		});
		curl_setopt($curl, CURLOPT_HEADERFUNCTION, function ($curl, string $line): int {
			if (preg_match('/\Aretry-after: *([0-9]{1,6})\s*\z/i', $line, $match) === 1) {
				$this->retryAfter = (int)$match[1];
			}
			return strlen($line);
		});
	}

	public function status(): int {
		return (int)curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE);
	}

	/** Without parameters, in lower case. */
	public function type(): string {
		return strtolower(trim(explode(';', (string)curl_getinfo($this->curl, CURLINFO_CONTENT_TYPE))[0]));
	}

	public function body(): string {
		return $this->body;
	}

	public function retryAfter(): ?int {
		return $this->retryAfter;
	}

	public function isTooLong(): bool {
		return $this->tooLong;
	}
}

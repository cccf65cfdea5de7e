<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

use LatchkeyHub\Exception\BadAnswer;
use LatchkeyHub\Exception\ClientUnfit;
use LatchkeyHub\Exception\HubException;
use LatchkeyHub\Exception\InvalidRequest;
use LatchkeyHub\Exception\NotFound;
use LatchkeyHub\Exception\PoolExhausted;
use LatchkeyHub\Exception\ServerFailure;
use LatchkeyHub\Exception\TooManyRequests;
use LatchkeyHub\Exception\Unauthorized;

/**
 * What a problem document (RFC 9457) of a hub means.
 *
 * @internal
 */
final class Problem {
	/** @param array<mixed> $fields */
	public static function of(string $server, int $status, array $fields, ?int $retryAfter): HubException {
		$code = self::matching('/\A[A-Z][A-Z0-9_]{0,63}\z/', $fields['code'] ?? null);
		if ($code === null) {
			return new BadAnswer($server . ' answered ' . $status . ' without a code', 'bad_answer', $status);
		}
		$field = self::matching('/\A[\w.-]{1,64}\z/', $fields['field'] ?? null);
		$detail = self::matching('/\A[^\x00-\x1f\x7f]{1,500}\z/', $fields['error'] ?? null);
		$class = self::classOf($code, $status);
		$words = $server . ' refused: ' . $code . ' (' . $status . ')' . ($field === null ? '' : ', field "' . $field . '"');
		return new $class($words, $code, $status, $field, $detail, $retryAfter);
	}

	/** @return class-string<HubException> */
	private static function classOf(string $code, int $status): string {
		return match (true) {
			$code === 'POOL_EXHAUSTED' => PoolExhausted::class,
			$code === 'CLIENT_UNFIT' => ClientUnfit::class,
			$status === 401, $status === 403 => Unauthorized::class,
			$status === 404 => NotFound::class,
			$status === 429 => TooManyRequests::class,
			$status >= 500 => ServerFailure::class,
			default => InvalidRequest::class,
		};
	}

	private static function matching(string $pattern, mixed $value): ?string {
		return is_string($value) && preg_match($pattern, $value) === 1 ? $value : null;
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** RFC 6238 with HMAC-SHA-1 and 30 s steps. */
class Totp {
	/**
	 * @param string $secret raw bytes
	 * @param int $seconds since 1970
	 */
	public static function code(#[\SensitiveParameter] string $secret, int $seconds, int $digits = 6): string {
		$hash = hash_hmac('sha1', pack('J', intdiv($seconds, 30)), $secret, true);
		$offset = ord($hash[19]) & 0x0f;
		// RFC 4226, section 5.3: four bytes from the offset, the sign bit dropped
		$number = unpack('N', substr($hash, $offset, 4))[1] & 0x7fffffff;
		return str_pad((string)($number % 10 ** $digits), $digits, '0', STR_PAD_LEFT);
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** Strict encodings: what decodes here encodes back to the same text, or it is null. */
class Encoding {
	public static function toBase64Url(#[\SensitiveParameter] string $bytes): string {
		return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
	}

	/** @return string|null exactly $length bytes, or null */
	public static function fromBase64Url(#[\SensitiveParameter] string $text, int $length): ?string {
		$bytes = base64_decode(strtr($text, '-_', '+/'), true);
		if ($bytes === false || strlen($bytes) !== $length || !hash_equals(self::toBase64Url($bytes), $text)) {
			return null;
		}
		return $bytes;
	}

	/** Canonical padded base64, or null. */
	public static function fromBase64(#[\SensitiveParameter] string $text): ?string {
		$bytes = base64_decode($text, true);
		return $bytes === false || !hash_equals(base64_encode($bytes), $text) ? null : $bytes;
	}

	/** RFC 4648 base32, upper case, padding optional as a whole; null for anything else. */
	public static function fromBase32(#[\SensitiveParameter] string $text): ?string {
		if (preg_match('/\A([A-Z2-7]+)(=*)\z/', $text, $match) !== 1) {
			return null;
		}
		$padding = strlen($match[2]);
		if ($padding > 0 && strlen($text) % 8 !== 0) {
			return null;
		}
		$bits = 0;
		$held = 0;
		$bytes = '';
		foreach (str_split($match[1]) as $character) {
			$held = ($held << 5 | strpos('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', $character)) & 0xfff;
			$bits += 5;
			if ($bits >= 8) {
				$bits -= 8;
				$bytes .= chr($held >> $bits & 0xff);
			}
		}
		// left-over bits must be fewer than a character and zero, or two texts would mean the same bytes
		return $bits >= 5 || ($held & (1 << $bits) - 1) !== 0 ? null : $bytes;
	}
}

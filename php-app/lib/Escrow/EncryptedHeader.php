<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/** First block of an encrypted file: `HBEGIN:name:value:…:HEND`, padded to 8192 bytes. */
final class EncryptedHeader {
	public const BLOCK = 8192;

	/**
	 * @return array<string, string>|null null when the block is not such a header
	 */
	public static function parse(string $block): ?array {
		if (strlen($block) < self::BLOCK || strncmp($block, 'HBEGIN:', 7) !== 0) {
			return null;
		}
		$end = strpos($block, ':HEND');
		if ($end === false) {
			return null;
		}
		$parts = explode(':', substr($block, 7, $end - 7));
		if (count($parts) % 2 !== 0) {
			return null;
		}
		$header = [];
		for ($i = 0; $i < count($parts); $i += 2) {
			$header[$parts[$i]] = $parts[$i + 1];
		}
		return $header;
	}
}

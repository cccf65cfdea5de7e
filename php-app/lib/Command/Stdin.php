<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;

/** Secrets come in as one JSON object on standard input, never as arguments that `ps` would show. */
final class Stdin {
	/** room for a few dozen private keys in base64 */
	private const MAX_BYTES = 4194304;

	/**
	 * @param resource $stream
	 * @param list<string> $allowed names of the fields that may be there
	 * @return array<string, mixed> empty for a terminal or an empty stream
	 * @throws Failure `invalid_request`
	 */
	public static function object($stream, array $allowed): array {
		if (stream_isatty($stream)) {
			return [];
		}
		$text = stream_get_contents($stream, self::MAX_BYTES + 1);
		if ($text === false || strlen($text) > self::MAX_BYTES) {
			throw new Failure('invalid_request', 'standard input must be at most ' . self::MAX_BYTES . ' bytes of JSON');
		}
		if (trim($text) === '') {
			return [];
		}
		$value = json_decode($text, true, 8);
		if (!is_array($value) || ltrim($text)[0] !== '{') {
			throw new Failure('invalid_request', 'standard input must be one JSON object');
		}
		$unknown = array_diff(array_map('strval', array_keys($value)), $allowed);
		if ($unknown !== []) {
			// not the name itself: a misplaced secret may stand where a name should
			throw new Failure('invalid_request', 'standard input may hold only: ' . implode(', ', $allowed));
		}
		return $value;
	}

	/**
	 * @param array<string, mixed> $input
	 * @throws Failure
	 */
	public static function text(array $input, string $field): ?string {
		if (!array_key_exists($field, $input)) {
			return null;
		}
		if (!is_string($input[$field]) || $input[$field] === '') {
			throw new Failure('invalid_request', '"' . $field . '" must be a text');
		}
		return $input[$field];
	}

	/**
	 * @param array<string, mixed> $input
	 * @throws Failure
	 */
	public static function flag(array $input, string $field): bool {
		if (!is_bool($input[$field] ?? false)) {
			throw new Failure('invalid_request', '"' . $field . '" must be true or false');
		}
		return $input[$field] ?? false;
	}

	/**
	 * Key blobs by id, from canonical base64.
	 *
	 * @param mixed $keys
	 * @return array<string, string>
	 * @throws Failure
	 */
	public static function blobs(#[\SensitiveParameter] $keys): array {
		if (!is_array($keys) || $keys === []) {
			throw new Failure('invalid_request', '"keys" must be an object of key ids and base64');
		}
		$blobs = [];
		foreach ($keys as $id => $text) {
			$blob = is_string($text) ? base64_decode($text, true) : false;
			if ($blob === false || $blob === '' || base64_encode($blob) !== $text) {
				throw new Failure('invalid_request', '"keys" must hold canonical base64');
			}
			$blobs[(string)$id] = $blob;
		}
		return $blobs;
	}
}

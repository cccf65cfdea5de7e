<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

use OCA\RemoteKeyStorage\State\StateError;

/**
 * Nextcloud's private-key container (apps/encryption Crypt). The stored one costs 600,000 PBKDF2 rounds to open; the
 * same key under header `keyFormat:password` opens in a millisecond, and both open with the instance secret alone.
 */
class Rewrap {
	private const CIPHERS = ['AES-256-CTR' => 32, 'AES-128-CTR' => 16, 'AES-256-CFB' => 32, 'AES-128-CFB' => 16];
	private const ROUNDS = ['hash2' => 600000, 'hash' => 100000];
	private const HEADER = '/\AHBEGIN((?::[A-Za-z0-9]+:[A-Za-z0-9-]+)+):HEND/';
	/** '00iv00', iv, '00sig00', 64 hex digits, 'xxx' */
	private const TAIL = 96;

	private string $secret;
	private string $instanceId;

	/** @param string $secret config.php "secret" */
	public function __construct(#[\SensitiveParameter] string $secret, string $instanceId) {
		$this->secret = $secret;
		$this->instanceId = $instanceId;
	}

	/**
	 * The PEM inside a stored blob.
	 *
	 * @param string $uid '' for system keys, the master key's own id for the master key
	 * @throws StateError code blob_format or blob_signature
	 */
	public function open(#[\SensitiveParameter] string $blob, string $uid): string {
		[$header, $content] = self::split($blob);
		$cipher = $header['cipher'] ?? '';
		$format = $header['keyFormat'] ?? 'password';
		if (!isset(self::CIPHERS[$cipher]) || ($format !== 'password' && !isset(self::ROUNDS[$format]))) {
			throw self::unknown();
		}
		$password = $format === 'password' ? $this->secret : openssl_pbkdf2( // three times as fast as hash_pbkdf2()
			$this->secret,
			hash('sha256', $uid . $this->instanceId . $this->secret, true),
			self::CIPHERS[$cipher],
			self::ROUNDS[$format],
			'sha256'
		);
		if ($password === false) {
			throw self::unknown();
		}
		$tail = substr($content, -self::TAIL);
		if (preg_match('/\A00iv00(.{16})00sig00([0-9a-f]{64})xxx\z/s', $tail, $match) !== 1) {
			throw self::unknown();
		}
		$encrypted = substr($content, 0, -self::TAIL);
		// the second form is of files from before Nextcloud put a separator there
		if (
			!hash_equals($match[2], self::sign($encrypted, $password . '_0_0'))
			&& !hash_equals($match[2], self::sign($encrypted, $password . '00'))
		) {
			throw new StateError(
				'blob_signature',
				'the released key does not open with this instance\'s secret',
				'"secret" and "instanceid" in config.php must be those the key was made with'
			);
		}
		$raw = ($header['encoding'] ?? '') === 'binary' ? OPENSSL_RAW_DATA : 0;
		$pem = openssl_decrypt($encrypted, $cipher, $password, $raw, $match[1]);
		if ($pem === false || strpos($pem, '-----BEGIN ') !== 0 || openssl_pkey_get_private($pem) === false) {
			throw self::unknown();
		}
		return $pem;
	}

	/**
	 * The same key, cheap to open. RAM only: never write the result to a disk.
	 *
	 * @throws StateError code blob_format or blob_signature
	 */
	public function rewrap(#[\SensitiveParameter] string $blob, string $uid): string {
		$pem = $this->open($blob, $uid);
		$iv = random_bytes(16);
		$encrypted = openssl_encrypt($pem, 'AES-256-CTR', $this->secret, OPENSSL_RAW_DATA, $iv);
		if ($this->secret === '' || !is_string($encrypted)) {
			throw self::unknown();
		}
		return 'HBEGIN:cipher:AES-256-CTR:keyFormat:password:encoding:binary:HEND' . $encrypted
			. '00iv00' . $iv . '00sig00' . self::sign($encrypted, $this->secret . '_0_0') . 'xxx';
	}

	/** Does it look like a private key as Nextcloud stores it? HTML, a bare PEM and '' do not. */
	public static function isBlob(#[\SensitiveParameter] string $blob): bool {
		return preg_match(self::HEADER, $blob) === 1 && strlen($blob) > self::TAIL + 512;
	}

	/** @return array{0: array<string, string>, 1: string} */
	private static function split(#[\SensitiveParameter] string $blob): array {
		if (preg_match(self::HEADER, $blob, $match) !== 1) {
			throw self::unknown();
		}
		$words = explode(':', substr($match[1], 1));
		$header = [];
		for ($i = 0; $i + 1 < count($words); $i += 2) {
			$header[$words[$i]] = $words[$i + 1];
		}
		return [$header, substr($blob, strlen($match[0]))];
	}

	private static function sign(#[\SensitiveParameter] string $data, #[\SensitiveParameter] string $password): string {
		return hash_hmac('sha256', $data, hash('sha512', $password . 'a', true));
	}

	private static function unknown(): StateError {
		return new StateError('blob_format', 'the released key is not a private key as Nextcloud stores it');
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return [];
	}
}

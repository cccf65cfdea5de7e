<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest;

/** A private key sealed as apps/encryption does it, written from its format and not from the code under test. */
class NextcloudBlob {
	private const ROUNDS = ['hash2' => 600000, 'hash' => 100000];
	/** @var array<string, string> what was stretched already */
	private static array $stretched = [];

	public static function pem(): string {
		openssl_pkey_export(openssl_pkey_new(['private_key_bits' => 2048]), $pem);
		return $pem;
	}

	public static function seal(
		string $pem,
		string $secret,
		string $instanceId,
		string $uid,
		string $format = 'hash2',
		bool $binary = true
	): string {
		$salt = hash('sha256', $uid . $instanceId . $secret, true);
		$known = $format . ' ' . bin2hex($salt) . ' ' . $secret;
		$key = $format === 'password'
			? $secret
			: self::$stretched[$known] ??= hash_pbkdf2('sha256', $secret, $salt, self::ROUNDS[$format], 32, true);
		$iv = random_bytes(16);
		$sealed = openssl_encrypt($pem, 'AES-256-CTR', $key, $binary ? OPENSSL_RAW_DATA : 0, $iv);
		$signature = hash_hmac('sha256', $sealed, hash('sha512', $key . '_0_0a', true));
		return 'HBEGIN:cipher:AES-256-CTR:keyFormat:' . $format . ($binary ? ':encoding:binary' : '') . ':HEND'
			. $sealed . '00iv00' . $iv . '00sig00' . $signature . 'xxx';
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/** Whether an opened private key belongs to a public one: it has to undo what the public half has sealed. */
final class PairCheck {
	/**
	 * @param string $private PEM
	 * @param string $public PEM
	 */
	public static function matches(#[\SensitiveParameter] string $private, string $public): bool {
		$privateKey = openssl_pkey_get_private($private);
		$publicKey = openssl_pkey_get_public($public);
		if ($privateKey === false || $publicKey === false) {
			return false;
		}
		$canary = random_bytes(32);
		$opened = '';
		return openssl_public_encrypt($canary, $sealed, $publicKey, OPENSSL_PKCS1_OAEP_PADDING)
			&& openssl_private_decrypt($sealed, $opened, $privateKey, OPENSSL_PKCS1_OAEP_PADDING)
			&& hash_equals($canary, $opened);
	}
}

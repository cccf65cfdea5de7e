<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** Certificates in PEM, one behind the other: the authorities of ca.pem. */
class CertificateBundle {
	private const MOST = 8;
	private const ONE = '-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+\/=\r\n]{64,8192}-----END CERTIFICATE-----\r?\n?';

	/**
	 * @return list<string> each certificate of an authority, in their order; empty when the text is anything else as well
	 */
	public static function parse(string $text): array {
		if (preg_match('/\A(?:' . self::ONE . '){1,' . self::MOST . '}\z/', $text) !== 1) {
			return [];
		}
		preg_match_all('/' . self::ONE . '/', $text, $found);
		foreach ($found[0] as $one) {
			$facts = openssl_x509_parse($one);
			if ($facts === false || strpos((string)($facts['extensions']['basicConstraints'] ?? ''), 'CA:TRUE') !== 0) {
				return [];
			}
		}
		return $found[0];
	}

	/** The one certificate the text is, or null. */
	public static function single(string $text): ?string {
		return preg_match('/\A' . self::ONE . '\z/', $text) === 1 && openssl_x509_parse($text) !== false ? $text : null;
	}
}

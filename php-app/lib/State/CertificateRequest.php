<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

use OCA\RemoteKeyStorage\Wire\CertificateBundle;
use OCA\RemoteKeyStorage\Wire\WireError;

/** A new P-256 key and the request (PKCS#10) for a certificate to it. The key server gives the name; this asks for none. */
class CertificateRequest {
	private string $key;
	private string $request;

	private function __construct(#[\SensitiveParameter] string $key, string $request) {
		$this->key = $key;
		$this->request = $request;
	}

	/** @throws StateError certificate_unmade when PHP's openssl cannot */
	public static function make(): self {
		// the system's openssl.cnf may be missing, or ask for more than this
		$config = tempnam(sys_get_temp_dir(), 'latchkey');
		if ($config === false || file_put_contents($config, "[req]\ndistinguished_name=dn\n[dn]\n") === false) {
			throw self::unmade();
		}
		try {
			$options = [
				'config' => $config,
				'digest_alg' => 'sha256',
				'private_key_bits' => 2048, // asked for though this kind of key has none
				'private_key_type' => OPENSSL_KEYTYPE_EC,
				'curve_name' => 'prime256v1',
				'encrypt_key' => false,
			];
			$pair = openssl_pkey_new($options);
			$request = $pair === false ? false : openssl_csr_new(['commonName' => 'remotekeystorage'], $pair, $options);
			$done = $pair !== false && is_object($request)
				&& openssl_pkey_export($pair, $key, null, $options) && openssl_csr_export($request, $text);
		} finally {
			unlink($config);
		}
		if (!$done) {
			throw self::unmade();
		}
		return new self($key, $text);
	}

	/** PEM. */
	public function key(): string {
		return $this->key;
	}

	/** PEM, for the key server. */
	public function text(): string {
		return $this->request;
	}

	/**
	 * Is this the certificate that was asked for: to this key, by one of these authorities?
	 *
	 * @param string $ca PEM, one or more
	 * @throws WireError bad_answer
	 */
	public function assertAnswered(string $certificate, string $ca): void {
		$signed = array_filter(
			CertificateBundle::parse($ca),
			static fn (string $authority): bool => openssl_x509_verify($certificate, $authority) === 1
		);
		$isOurs = CertificateBundle::single($certificate) !== null && openssl_x509_check_private_key($certificate, $this->key);
		if (!$isOurs || $signed === []) {
			throw new WireError('bad_answer', 'the key server\'s answer has no usable "certificate"', 200);
		}
	}

	/** @return array<string, string> */
	public function __debugInfo(): array {
		return ['request' => $this->request];
	}

	private static function unmade(): StateError {
		return new StateError(
			'certificate_unmade',
			'PHP could not make a key and a request for a certificate',
			'see that the openssl extension works and the temporary folder can be written'
		);
	}
}

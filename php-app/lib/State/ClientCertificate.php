<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

use OCA\RemoteKeyStorage\Wire\CertificateBundle;

/**
 * What this host shows the key server: client.key and client.crt, PEM, 0600. The key is made here and leaves this host
 * only as a signature. bin/heartbeat.sh shows them too.
 *
 * A renewed pair is first put whole into client.new, then into its places: a crash on the way leaves something that
 * settle() finishes, and until the new one is used the key server takes the old one as well. Everything here but
 * describe() is for who holds StateFolder::lock().
 */
class ClientCertificate {
	public const KEY = 'client.key';
	public const CERTIFICATE = 'client.crt';
	public const STAGED = 'client.new';
	/** All of them, for who takes them away. */
	public const FILES = [self::STAGED, self::CERTIFICATE, self::KEY];

	private StateFolder $folder;

	public function __construct(StateFolder $folder) {
		$this->folder = $folder;
	}

	/**
	 * Paths for curl, after a replacement that was cut off is finished.
	 *
	 * @return array{certificate: string, key: string}|null null when this host was issued none
	 * @throws StateError
	 */
	public function files(): ?array {
		$this->settle();
		if ($this->folder->read(self::CERTIFICATE) === null || $this->folder->read(self::KEY) === null) {
			return null;
		}
		return ['certificate' => $this->folder->file(self::CERTIFICATE), 'key' => $this->folder->file(self::KEY)];
	}

	/** Durable, and whole at any moment. @throws StateError state_write */
	public function store(CertificateRequest $request, string $certificate): void {
		$this->folder->write(self::STAGED, rtrim($request->key()) . "\n" . rtrim($certificate) . "\n");
		$this->settle();
	}

	/** No certificate any more: this host was enrolled anew without one. @throws StateError state_write */
	public function remove(): void {
		foreach (self::FILES as $name) {
			$this->folder->remove($name);
		}
	}

	/**
	 * What is in client.crt; never throws, for what shows and decides.
	 *
	 * @return array{from: int, until: int, serial: string, pem: string}|null ms; null without a readable certificate
	 */
	public function describe(): ?array {
		try {
			$pem = $this->folder->read(self::CERTIFICATE);
		} catch (StateError $e) {
			return null;
		}
		$facts = $pem === null ? false : openssl_x509_parse($pem);
		if ($facts === false || !isset($facts['validFrom_time_t'], $facts['validTo_time_t'], $facts['serialNumberHex'])) {
			return null;
		}
		return [
			'from' => $facts['validFrom_time_t'] * 1000,
			'until' => $facts['validTo_time_t'] * 1000,
			'serial' => (string)$facts['serialNumberHex'],
			'pem' => (string)$pem,
		];
	}

	/**
	 * Less than a third of its life is left, or another authority signs by now.
	 *
	 * @param string $ca what ca.pem holds; the authority that signs comes first
	 */
	public function isDue(int $nowMs, string $ca): bool {
		$facts = $this->describe();
		if ($facts === null) {
			return false;
		}
		$left = $facts['until'] - $nowMs;
		$signing = CertificateBundle::parse($ca)[0] ?? null;
		return $left * 3 < $facts['until'] - $facts['from']
			|| ($signing !== null && openssl_x509_verify($facts['pem'], $signing) !== 1);
	}

	/** @throws StateError */
	private function settle(): void {
		$staged = $this->folder->read(self::STAGED);
		if ($staged === null) {
			return;
		}
		$end = strpos($staged, '-----BEGIN CERTIFICATE-----');
		if ($end !== false && $end > 0) {
			$this->folder->write(self::KEY, substr($staged, 0, $end));
			$this->folder->write(self::CERTIFICATE, substr($staged, $end));
		}
		$this->folder->remove(self::STAGED);
	}
}

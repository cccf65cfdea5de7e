<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest;

use OCA\RemoteKeyStorage\State\CertificateRequest;

/** An authority that signs what it is given, for 30 days from now. */
final class TestAuthority {
	public string $pem;
	private string $folder;

	public function __construct() {
		$this->folder = KeyServer::scratch('authority');
		$this->pem = KeyServer::certificate($this->folder . '/tls.pem');
		file_put_contents($this->folder . '/cnf', "[req]\ndistinguished_name=dn\n[dn]\n");
	}

	public function sign(CertificateRequest $request): string {
		$own = 'file://' . $this->folder . '/authority.pem';
		$options = ['digest_alg' => 'sha256', 'config' => $this->folder . '/cnf'];
		openssl_x509_export(openssl_csr_sign($request->text(), $own, $own, 30, $options, random_int(1, PHP_INT_MAX)), $pem);
		return $pem;
	}
}

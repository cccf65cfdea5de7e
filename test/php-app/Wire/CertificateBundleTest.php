<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use LatchkeyTest\TestAuthority;
use OCA\RemoteKeyStorage\State\CertificateRequest;
use OCA\RemoteKeyStorage\Wire\CertificateBundle;
use PHPUnit\Framework\TestCase;

final class CertificateBundleTest extends TestCase {
	public function testWhatIsNotAuthoritiesAloneIsNothing(): void {
		$authority = new TestAuthority();
		$leaf = $authority->sign(CertificateRequest::make());
		$texts = [
			'', 'PEM', $leaf, $authority->pem . $leaf, $leaf . $authority->pem, $authority->pem . 'x', "\n" . $authority->pem,
			$authority->pem . $authority->pem . 'x', str_repeat($authority->pem, 9), substr($authority->pem, 0, -30),
			str_replace('CERTIFICATE', 'PRIVATE KEY', $authority->pem),
			"-----BEGIN CERTIFICATE-----\n" . str_repeat('A', 64) . "\n-----END CERTIFICATE-----\n",
		];
		foreach ($texts as $text) {
			$this->assertSame([], CertificateBundle::parse($text), substr($text, 0, 80));
		}
	}

	public function testAuthoritiesComeInTheirOrder(): void {
		[$one, $two] = [(new TestAuthority())->pem, (new TestAuthority())->pem];
		$this->assertSame([$one], CertificateBundle::parse($one));
		$this->assertSame([$two, $one], CertificateBundle::parse($two . $one));
		$this->assertCount(8, CertificateBundle::parse(str_repeat($one, 8)));
	}

	public function testOneIsOne(): void {
		$authority = new TestAuthority();
		$leaf = $authority->sign(CertificateRequest::make());
		$this->assertSame($leaf, CertificateBundle::single($leaf));
		foreach (['', $leaf . $leaf, 'x' . $leaf, $leaf . 'x'] as $text) {
			$this->assertNull(CertificateBundle::single($text));
		}
	}
}

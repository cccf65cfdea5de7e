<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use OCA\RemoteKeyStorage\Wire\Totp;
use PHPUnit\Framework\TestCase;

final class TotpTest extends TestCase {
	/** @return array<string, array{int, string}> RFC 6238, appendix B, SHA-1 */
	public function vectors(): array {
		return [
			'1970' => [59, '94287082'],
			'2005' => [1111111109, '07081804'],
			'2005, next step' => [1111111111, '14050471'],
			'2009' => [1234567890, '89005924'],
			'2033' => [2000000000, '69279037'],
			'2603' => [20000000000, '65353130'],
		];
	}

	/** @dataProvider vectors */
	public function testPublishedVectors(int $seconds, string $code): void {
		$this->assertSame($code, Totp::code('12345678901234567890', $seconds, 8));
		$this->assertSame(substr($code, 2), Totp::code('12345678901234567890', $seconds));
	}

	public function testACodeChangesWithTheStepAndNotWithin(): void {
		$this->assertSame(Totp::code('secret', 30), Totp::code('secret', 59));
		$this->assertNotSame(Totp::code('secret', 59), Totp::code('secret', 60));
	}
}

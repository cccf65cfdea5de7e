<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\CertificateProblems;
use PHPUnit\Framework\TestCase;

final class CertificateProblemsTest extends TestCase {
	private const NOW = 1800000000000;
	private const DAY = 86400000;

	/** @return array<string, array{int|null, bool, string|null, bool}> until, whether renewing fails, code, blocking */
	public function states(): array {
		return [
			'none' => [null, false, null, false],
			'none, whatever failed' => [null, true, null, false],
			'a week left' => [self::NOW + 7 * self::DAY, false, null, false],
			'a moment less' => [self::NOW + 7 * self::DAY - 1, false, 'certificate_ending', false],
			'a failure while much is left' => [self::NOW + 9 * self::DAY, true, 'certificate_renewal_failing', false],
			'a failure near the end' => [self::NOW, true, 'certificate_renewal_failing', false],
			'over' => [self::NOW - 1, false, 'certificate_expired', true],
			'over after failures' => [self::NOW - 1, true, 'certificate_expired', true],
		];
	}

	/** @dataProvider states */
	public function testTellsWhatIsWrongWithIt(?int $until, bool $failing, ?string $code, bool $blocking): void {
		$failure = $failing ? ['since' => self::NOW - self::DAY, 'time' => self::NOW, 'code' => 'timeout'] : null;
		$problems = CertificateProblems::problems(['until' => $until, 'failing' => $failure], self::NOW);
		$this->assertSame($code === null ? [] : [$code], array_column($problems, 'code'));
		$this->assertSame($code === null ? [] : [$blocking], array_column($problems, 'blocking'));
		if ($code === 'certificate_renewal_failing') {
			$this->assertStringContainsString('since 2027-01-14 08:00 UTC (timeout)', $problems[0]['message']);
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Settings;

use OCA\RemoteKeyStorage\Escrow\Diagnosis;
use OCA\RemoteKeyStorage\Settings\Headline;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/template-functions.php';

final class AdminPageTest extends TestCase {
	private const HOSTILE = '"><script>alert(1)</script>';

	private const REPORT = [
		'enrolled' => true, 'clientId' => 'lk-1', 'urls' => ['https://10.0.0.1'], 'keys' => ['master_1.privateKey'], 'localKeys' => [],
		'masterKeyId' => 'master_1', 'masterKeyIdInDatabase' => 'master_1', 'link' => ['present' => true, 'time' => 1],
		'heartbeat' => ['time' => 4000, 'code' => 'ok', 'answered' => 4000],
		'breaker' => ['open' => false, 'failures' => 0, 'until' => null, 'code' => null],
		'cache' => ['apcu' => true, 'tmpfs' => null, 'store' => 'apcu', 'age' => 3],
		'sessionsKeyFree' => true, 'exceptionArgsIgnored' => true, 'apcuOnDisk' => false, 'swapInClear' => [], 'hook' => 'app', 'version' => '1.0.0',
	];
	private const RELEASE = ['when' => 'today', 'reason' => 'cold', 'outcome' => 'released', 'code' => '', 'ms' => 12];

	/**
	 * @param array<string, mixed> $report
	 * @param list<array<string, mixed>> $releases
	 */
	private static function page(array $report, array $releases = [self::RELEASE]): string {
		$report['problems'] = Diagnosis::problems(
			$report,
			[
				'hookFailure' => null, 'masterKeyEnabled' => true, 'encryptionEnabled' => true, 'failure' => null, 'rollbackSuspectedAt' => null,
				'clockBehind' => null, 'now' => 5000,
			],
		);
		$_ = ['report' => $report, 'headline' => Headline::of($report), 'releases' => $releases, 'heartbeat' => 'just now', 'until' => 'soon'];
		ob_start();
		(static function () use ($_): void {
			include __DIR__ . '/../../../php-app/templates/admin.php';
		})();
		return (string)ob_get_clean();
	}

	public function testShowsAHealthyHost(): void {
		$page = self::page(self::REPORT);
		$this->assertStringContainsString('rks-good', $page);
		$this->assertStringContainsString('released', $page);
		$this->assertStringNotContainsString('What to do', $page);
	}

	public function testSaysWhatToDo(): void {
		$breaker = ['open' => true, 'failures' => 2, 'until' => 5, 'code' => 'unreachable'];
		$page = self::page(['breaker' => $breaker] + self::REPORT);
		$this->assertStringContainsString('rks-bad', $page);
		$this->assertStringContainsString('<code>occ remotekey:verify</code>', $page);
		$this->assertStringContainsString('next try soon', preg_replace('/\s+/', ' ', $page));
	}

	public function testNamesTheApprovalThatIsWaitedFor(): void {
		$breaker = ['open' => true, 'failures' => 1, 'until' => 5, 'code' => 'approval_pending', 'detail' => 'ap-12'];
		$held = ['outcome' => 'held', 'code' => 'approval_pending', 'detail' => 'ap-12'] + self::RELEASE;
		$page = preg_replace('/\s+/', ' ', self::page(['breaker' => $breaker] + self::REPORT, [$held]));
		$this->assertStringContainsString('waiting for approval <code>ap-12</code>', $page);
		$this->assertStringContainsString('<code>keyserver approval show ap-12</code>', $page);
	}

	public function testTellsOfHeartbeatsThatAreNotAnswered(): void {
		$page = preg_replace('/\s+/', ' ', self::page(['heartbeat' => ['time' => 1, 'code' => 'timeout', 'answered' => 1]] + self::REPORT));
		$this->assertStringContainsString('answered just now, then <code>timeout</code>', $page);
	}

	public function testShowsAHostThatIsNotEnrolled(): void {
		$page = self::page(['enrolled' => false, 'keys' => [], 'localKeys' => ['master_1.privateKey'], 'urls' => [], 'masterKeyId' => null] + self::REPORT, []);
		$this->assertStringContainsString('Not set up yet', $page);
		$this->assertStringNotContainsString('Last answers', $page);
	}

	public function testEscapesEverything(): void {
		$bad = self::HOSTILE;
		$report = [
			'clientId' => $bad, 'urls' => [$bad], 'keys' => [$bad], 'masterKeyIdInDatabase' => $bad, 'hook' => $bad, 'version' => $bad,
			'cache' => ['apcu' => true, 'tmpfs' => null, 'store' => $bad, 'age' => 3],
			'breaker' => ['open' => true, 'failures' => 1, 'until' => 1, 'code' => $bad],
		] + self::REPORT;
		$release = ['when' => $bad, 'reason' => $bad, 'outcome' => $bad, 'code' => $bad, 'ms' => 1];
		$page = self::page($report, [$release]);
		$this->assertStringNotContainsString('<script', $page);
		$this->assertGreaterThan(9, substr_count($page, '&lt;script&gt;'));
	}
}

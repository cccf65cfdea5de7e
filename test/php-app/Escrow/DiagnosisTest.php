<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\Diagnosis;
use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Settings\Headline;
use PHPUnit\Framework\TestCase;

final class DiagnosisTest extends TestCase {
	private const FACTS = [
		'enrolled' => true, 'keys' => ['master_1.privateKey'], 'localKeys' => [], 'masterKeyId' => 'master_1', 'masterKeyIdInDatabase' => 'master_1',
		'heartbeat' => ['time' => 999999999, 'code' => 'ok', 'answered' => 999400000],
		'link' => ['present' => true, 'time' => 1], 'breaker' => ['open' => false, 'failures' => 0, 'until' => null, 'code' => null],
		'sessionsKeyFree' => true, 'exceptionArgsIgnored' => true, 'apcuOnDisk' => false, 'swapInClear' => [], 'hook' => 'app',
	];
	private const CALM = [
		'hookFailure' => null, 'masterKeyEnabled' => true, 'encryptionEnabled' => true, 'failure' => null, 'rollbackSuspectedAt' => null,
		'clockBehind' => null, 'now' => 1000000000,
	];

	/** @return list<array{array<string, mixed>, array<string, mixed>, string, string}> */
	public function facts(): array {
		$broken = ['open' => true, 'failures' => 3, 'until' => 1, 'code' => 'unreachable'];
		return [
			[['hook' => 'off'], [], 'hook_off', 'bad'],
			[[], ['hookFailure' => 'no session guard'], 'hook_incomplete', 'warn'],
			[[], ['failure' => new Failure('state_mode', 'too open', 'chmod 0700')], 'state_mode', 'bad'],
			[[], ['masterKeyEnabled' => false], 'user_key_mode', 'bad'],
			[[], ['encryptionEnabled' => false], 'encryption_off', 'warn'],
			[['link' => ['present' => false, 'time' => null]], [], 'link_missing', 'bad'],
			[['masterKeyIdInDatabase' => 'master_2'], [], 'master_key_id_changed', 'bad'],
			[['masterKeyIdInDatabase' => ''], [], 'master_key_id_changed', 'bad'],
			[['breaker' => $broken], [], 'breaker_open', 'bad'],
			[['breaker' => ['code' => 'approval_pending', 'detail' => 'ap-1'] + $broken], [], 'approval_pending', 'bad'],
			[['breaker' => ['code' => 'approval_denied', 'detail' => 'lapsed'] + $broken], [], 'approval_denied', 'bad'],
			[[], ['rollbackSuspectedAt' => 1], 'server_rollback_suspected', 'warn'],
			[['heartbeat' => ['time' => 1, 'code' => 'unreachable', 'answered' => 999399999]], [], 'heartbeat_silent', 'warn'],
			[['heartbeat' => ['time' => null, 'code' => null, 'answered' => null]], [], 'heartbeat_silent', 'warn'],
			[[], ['clockBehind' => 183000], 'clock_skew', 'bad'],
			[['sessionsKeyFree' => false], [], 'sessions_hold_key', 'warn'],
			[['exceptionArgsIgnored' => false], [], 'exception_args_logged', 'warn'],
			[['apcuOnDisk' => true], [], 'apcu_on_disk', 'warn'],
			[['swapInClear' => ['/dev/sda2']], [], 'swap_on', 'warn'],
			[['keys' => [], 'localKeys' => ['master_1.privateKey']], [], 'keys_local', 'warn'],
			[['keys' => []], [], 'keys_nowhere', 'bad'],
			[['localKeys' => ['master_1.privateKey']], [], 'keys_left_here', 'warn'],
		];
	}

	/**
	 * @dataProvider facts
	 * @param array<string, mixed> $different
	 * @param array<string, mixed> $trouble
	 */
	public function testProblemsNamesExactlyWhatIsWrong(array $different, array $trouble, string $code, string $level): void {
		$facts = $different + self::FACTS;
		$facts['problems'] = Diagnosis::problems($facts, $trouble + self::CALM);
		$this->assertSame([$code], array_column($facts['problems'], 'code'));
		$this->assertSame($level, Headline::of($facts)['level']);
	}

	public function testClockSkewTellsHowMuchAndWhichWay(): void {
		foreach ([183400 => '183 s behind that', -61500 => 'is or was until lately 62 s ahead of that'] as $behind => $words) {
			$problems = Diagnosis::problems(self::FACTS, ['clockBehind' => $behind] + self::CALM);
			$this->assertStringContainsString($words, $problems[0]['message']);
		}
	}

	public function testAnApprovalIsNamedWithWhatToDo(): void {
		$breaker = ['open' => true, 'failures' => 1, 'until' => 1, 'code' => 'approval_pending', 'detail' => 'ap-1'];
		$problem = Diagnosis::problems(['breaker' => $breaker] + self::FACTS, self::CALM)[0];
		$this->assertStringContainsString('yes to ap-1', $problem['message']);
		$this->assertStringContainsString('`keyserver approval show ap-1`', $problem['hint']);
		foreach (['lapsed' => 'nobody answered', 'denied' => 'said no'] as $detail => $words) {
			$breaker = ['code' => 'approval_denied', 'detail' => $detail] + $breaker;
			$this->assertStringContainsString($words, Diagnosis::problems(['breaker' => $breaker] + self::FACTS, self::CALM)[0]['message']);
		}
	}

	public function testAHealthyHostIsWorking(): void {
		$this->assertSame([], Diagnosis::problems(self::FACTS, self::CALM));
		$this->assertSame('good', Headline::of(self::FACTS + ['problems' => []])['level']);
	}

	public function testAMissingHookIsHarmlessWhileTheKeysAreHere(): void {
		$here = ['keys' => [], 'localKeys' => ['master_1.privateKey']];
		$facts = $here + ['enrolled' => false, 'masterKeyId' => null, 'hook' => 'off'] + self::FACTS;
		$facts['problems'] = Diagnosis::problems($facts, self::CALM);
		$this->assertSame(['not_enrolled', 'hook_off'], array_column($facts['problems'], 'code'));
		$this->assertSame('warn', Headline::of($facts)['level']);
	}

	public function testAServerWithoutEncryptionMissesNoKey(): void {
		$facts = ['enrolled' => false, 'keys' => [], 'masterKeyId' => null] + self::FACTS;
		$problems = Diagnosis::problems($facts, ['encryptionEnabled' => false] + self::CALM);
		$this->assertSame(['not_enrolled'], array_column($problems, 'code'));
	}
}

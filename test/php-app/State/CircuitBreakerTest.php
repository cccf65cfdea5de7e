<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\State\CircuitBreaker;
use OCA\RemoteKeyStorage\State\StateFolder;
use OCA\RemoteKeyStorage\Wire\WireError;
use PHPUnit\Framework\TestCase;

final class CircuitBreakerTest extends TestCase {
	private int $now = 1700000000000;
	private StateFolder $folder;
	private CircuitBreaker $breaker;

	protected function setUp(): void {
		$this->folder = new StateFolder(KeyServer::scratch('state'));
		$this->breaker = new CircuitBreaker($this->folder, fn (): int => $this->now);
	}

	public function testOpensAtOnceAndClosesInTime(): void {
		$this->assertNull($this->breaker->refusal());
		$this->breaker->failed(new WireError('unreachable', 'no answer'));
		$this->assertSame('unreachable', $this->breaker->refusal()->code());
		$this->now += 4999;
		$this->assertSame(1, $this->breaker->refusal()->retryAfter());
		$this->now += 1;
		$this->assertNull($this->breaker->refusal());
		$this->assertTrue($this->breaker->isTrying());
		$this->breaker->reset();
		$this->assertFalse($this->breaker->isTrying());
	}

	/** @return array<string, array{WireError, list<int>}> */
	public function pauses(): array {
		return [
			'unreachable' => [new WireError('unreachable', ''), [5, 10, 20, 40, 60, 60]],
			'denied' => [new WireError('locked', '', 423), [10, 20, 40, 80, 160, 300]],
			'told when' => [new WireError('rate_limited', '', 429, 120), [120, 120]],
			'waits for a person' => [new WireError('approval_pending', '', 202, 30, 'ap-1'), [30, 30, 30, 30, 30]],
			'nobody answered' => [new WireError('approval_denied', '', 403, 120, 'lapsed'), [120, 120, 120]],
			'said no' => [new WireError('approval_denied', '', 403, 900, 'denied'), [900, 900]],
			'told years' => [new WireError('rate_limited', '', 429, 99999999), [900]],
		];
	}

	/**
	 * @dataProvider pauses
	 * @param list<int> $seconds
	 */
	public function testPausesGrowToALimit(WireError $error, array $seconds): void {
		foreach ($seconds as $pause) {
			$this->breaker->failed($error);
			$this->now += $pause * 1000 - 1;
			$this->assertNotNull($this->breaker->refusal(), $pause . ' s');
			$this->now += 1;
			$this->assertNull($this->breaker->refusal(), $pause . ' s');
		}
	}

	public function testAHeartbeatEndsOnlyWhatItWouldHaveMet(): void {
		foreach (['unreachable' => false, 'sealed' => false, 'locked' => false, 'unauthorized' => true, 'rate_limited' => true, 'approval_pending' => true, 'outside_hours' => true] as $code => $stays) {
			$this->breaker->reset();
			$this->breaker->failed(new WireError($code, ''));
			$this->breaker->heard();
			$this->assertSame($stays, $this->breaker->refusal() !== null, $code);
		}
	}

	public function testItRemembersWhichApprovalIsWaitedFor(): void {
		$this->breaker->failed(new WireError('approval_pending', 'waits', 202, 30, 'ap-0123456789abcdef'));
		$refusal = $this->breaker->refusal();
		$this->assertSame(['ap-0123456789abcdef', 30, false], [$refusal->detail(), $refusal->retryAfter(), $refusal->isDenial()]);
		$this->assertSame('ap-0123456789abcdef', $this->breaker->state()['detail']);
		$this->folder->write('breaker.json', '{"failures":1,"until":1700000009000,"code":"sealed","message":"x"}');
		$this->assertSame('', $this->breaker->refusal()->detail(), 'a file of an older version');
	}

	public function testAClockSetBackDoesNotKeepItOpen(): void {
		$this->breaker->failed(new WireError('unreachable', ''));
		$this->now -= 86400000;
		$this->assertNull($this->breaker->refusal());
	}

	public function testWorksWithoutADisk(): void {
		$breaker = new CircuitBreaker(new StateFolder('/nonexistent-' . bin2hex(random_bytes(4))), fn (): int => $this->now);
		$breaker->failed(new WireError('unreachable', ''));
		$this->assertNotNull($breaker->refusal());
		$breaker->reset();
		$this->assertNull($breaker->refusal());
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Wire\Enroller;
use OCA\RemoteKeyStorage\Wire\ReleaseClient;
use OCA\RemoteKeyStorage\Wire\WireError;
use PHPUnit\Framework\TestCase;

final class ReleaseClientTest extends TestCase {
	private const ID = 'master_1.privateKey';
	private KeyServer $server;
	private string $dir;
	private Host $host;

	protected function setUp(): void {
		$this->server = new KeyServer();
		$this->dir = $this->server->enrolled([self::ID => "raw \0 bytes"]);
		$this->host = Host::at($this->dir);
	}

	protected function tearDown(): void {
		$this->server->stop();
		putenv('https_proxy');
	}

	public function testAReleaseMovesTheChain(): void {
		$before = $this->link();
		$answer = $this->release();
		$after = $this->link();
		$this->assertSame([self::ID => "raw \0 bytes"], $answer['keys']);
		$this->assertSame(['ttl' => 3600, 'staleIfError' => 86400], $answer['policy']);
		$this->assertNotSame($before['current'], $after['current']);
		$this->assertNull($after['next']);
		$this->assertSame(2, $after['seen']['seq']);
		$this->assertCount(1, array_unique(array_column(array_slice($this->server->requests(), -2), 'connection')));
	}

	public function testTheSecondMessageLeavesOnlyAfterBothLinksAreOnDisk(): void {
		$before = $this->link();
		$this->server->behave(['/v1/release' => 'lose-request']);
		$this->fails('unreachable');
		$stored = $this->link();
		$sent = $this->server->requests('POST /v1/release')[0]['body'];
		$this->assertSame($before['current'], $stored['current']);
		$this->assertSame($sent['link'], $stored['next']);
		$this->assertSame($sent['time'], $stored['time']);
	}

	/** @return array<string, array{string, string}> */
	public function losses(): array {
		return [
			'open, request' => ['/v1/open', 'lose-request'],
			'open, answer' => ['/v1/open', 'lose-answer'],
			'release, request' => ['/v1/release', 'lose-request'],
			'release, answer' => ['/v1/release', 'lose-answer'],
		];
	}

	/** @dataProvider losses */
	public function testALossAtAnyPointIsNoFork(string $path, string $loss): void {
		foreach ([1, 2, 3] as $round) {
			$this->server->behave([$path => $loss]);
			$this->fails('unreachable');
			$this->server->behave([]);
			$this->assertSame("raw \0 bytes", $this->release()['keys'][self::ID]);
		}
	}

	public function testACopyIsFound(): void {
		$copy = KeyServer::scratch('copy');
		foreach (['client.json', 'ca.pem', 'link.json'] as $name) {
			copy($this->dir . '/' . $name, $copy . '/' . $name);
			chmod($copy . '/' . $name, 0600);
		}
		$this->release();
		try {
			Host::at($copy)->client()->release([self::ID], 'cold');
			$this->fail('the copy got a key');
		} catch (WireError $e) {
			$this->assertSame(['locked', 'fork'], [$e->code(), $e->detail()]);
		}
	}

	public function testTimeStampsGrowThoughTheClockStandsStill(): void {
		$this->release();
		$this->release();
		$this->host->client()->heartbeat();
		$times = array_map(static fn (array $r): int => $r['body']['time'], array_slice($this->server->requests(), 2));
		$sorted = array_values(array_unique($times));
		sort($sorted);
		$this->assertCount(5, $times);
		$this->assertSame($sorted, $times);
	}

	public function testAClockThatWasAheadIsForgivenWhenNothingFromThenCanBeUnderWay(): void {
		$now = (int)(microtime(true) * 1000);
		file_put_contents($this->dir . '/link.json', json_encode(['time' => $now + 86400000] + $this->link()));
		$this->fails('stale_message');
		$this->assertCount(1, $this->server->requests('POST /v1/open'), 'it could only be refused again');
		$this->assertEqualsWithDelta(-86400000, $this->host->releases()->clockBehind(), 10000);
		$stamp = $this->link()['time'];
		$this->assertEqualsWithDelta($now + 180000, $stamp, 10000);
		$this->fails('stale_message');
		$this->assertSame($stamp + 1, $this->link()['time']);
		$this->assertEqualsWithDelta(-180000, $this->host->releases()->clockBehind(), 10000);
		// two minutes later, as the stamp sees it
		file_put_contents($this->dir . '/link.json', json_encode(['time' => $stamp - 130000] + $this->link()));
		$this->assertSame("raw \0 bytes", $this->release()['keys'][self::ID]);
		$this->assertNull($this->host->releases()->clockBehind());
	}

	public function testASecondStaleAnswerIsNotArguedWith(): void {
		$now = (int)(microtime(true) * 1000);
		$this->server->behave(['/v1/open' => [409, ['code' => 'stale_message', 'serverTime' => $now]]]);
		$this->fails('stale_message');
		$this->assertCount(2, $this->server->requests('POST /v1/open'));
	}

	/** @return array<string, array{int, int|null}> seconds this clock is behind, ms told */
	public function clocks(): array {
		return ['much behind' => [183, 183000], 'much ahead' => [-183, -183000], 'as much as is forgiven' => [29, null]];
	}

	/** @dataProvider clocks */
	public function testAStaleMessageTellsHowFarTheClocksAreApart(int $behind, ?int $told): void {
		$now = 1700000000000;
		file_put_contents($this->dir . '/link.json', json_encode(['time' => 0] + $this->link()));
		$this->server->behave(['/v1/heartbeat' => [409, ['code' => 'stale_message', 'serverTime' => $now + $behind * 1000]]]);
		try {
			$this->clientAt($now)->heartbeat();
			$this->fail('it was heard');
		} catch (WireError $e) {
			$this->assertSame('stale_message', $e->code());
		}
		$this->assertSame($told, $this->host->releases()->clockBehind());
	}

	public function testARefusedOneTimeCodeTellsHowFarTheClocksAreApart(): void {
		$this->server->behave(['/v1/open' => [401, ['code' => 'unauthorized']], 'clockSeconds' => 90]);
		$zone = date_default_timezone_get();
		date_default_timezone_set('Asia/Tokyo');
		$this->fails('unauthorized');
		date_default_timezone_set($zone);
		$this->assertEqualsWithDelta(90000, $this->host->releases()->clockBehind(), 3000);
		$this->server->behave(['/v1/open' => 'lose-answer']);
		$this->fails('unreachable');
		$this->assertNotNull($this->host->releases()->clockBehind(), 'no answer tells nothing new');
		$this->server->behave([]);
		$this->release();
		$this->assertNull($this->host->releases()->clockBehind());
	}

	public function testHeartbeatProvesTheNewestLink(): void {
		$this->server->behave(['/v1/release' => 'lose-request']);
		$this->fails('unreachable');
		$this->assertSame('ok', $this->host->client()->heartbeat()['state']);
		$sent = $this->server->requests('POST /v1/heartbeat')[0]['body'];
		$this->assertSame(\OCA\RemoteKeyStorage\Wire\Link::parse($this->link()['next'])->id(), $sent['linkId']);
	}

	public function testAnotherCaIsRefused(): void {
		file_put_contents($this->dir . '/ca.pem', KeyServer::certificate(KeyServer::scratch('other') . '/tls.pem'));
		$before = $this->link();
		$this->fails('tls_failed');
		$this->assertSame($before['current'], $this->link()['current']);
		$this->assertSame([], $this->server->requests('POST /v1/open'));
	}

	public function testAMissingCaIsRefusedBeforeAnythingIsSent(): void {
		unlink($this->dir . '/ca.pem');
		$this->fails('tls_failed');
		$this->assertSame([], $this->server->requests('POST /v1/open'));
	}

	public function testTls12IsRefused(): void {
		$old = new KeyServer(true);
		try {
			Enroller::enroll([$old->url()], str_repeat('B', 43), $old->ca);
			$this->fail('TLS 1.2 was spoken');
		} catch (WireError $e) {
			$this->assertSame('tls_failed', $e->code());
		} finally {
			$old->stop();
		}
	}

	public function testAProxyIsNeverUsed(): void {
		putenv('https_proxy=http://127.0.0.1:9');
		$this->assertNotEmpty($this->release()['keys']);
	}

	public function testADeadServerIsPassedOverForTheNext(): void {
		$dir = $this->server->enrolled(['other_1.privateKey' => 'x'], ['https://127.0.0.1:9', $this->server->url()]);
		$this->assertSame('x', Host::at($dir)->client()->release(['other_1.privateKey'], 'cold')['keys']['other_1.privateKey']);
	}

	public function testASilentServerCostsFiveSeconds(): void {
		$this->server->behave(['/v1/open' => 'hang']);
		$start = microtime(true);
		$this->fails('timeout');
		$this->assertEqualsWithDelta(5.0, microtime(true) - $start, 1.0);
	}

	public function testOneExchangeAtATime(): void {
		$held = $this->host->folder()->lock(1);
		$this->expectException(StateError::class);
		try {
			$this->host->folder()->lock(0.1);
		} finally {
			$held->release();
			$this->assertSame([], $this->server->requests('POST /v1/open'));
		}
	}

	/** @return array<string, array{callable(self): void}> */
	public function conversations(): array {
		return [
			'release' => [static fn (self $test) => $test->release()],
			'heartbeat' => [static fn (self $test) => $test->host->client()->heartbeat()],
		];
	}

	/** @dataProvider conversations */
	public function testAnOlderAuditHeadIsSuspectedAndTheKeyStillComes(callable $talk): void {
		$this->release();
		$this->saw(999, str_repeat('a', 64));
		$talk($this);
		$this->assertNotNull($this->host->rollback()->suspectedAt());
		$this->assertSame(999, $this->link()['seen']['seq']);
	}

	/** @dataProvider conversations */
	public function testAnotherHeadUnderTheSameNumberIsSuspected(callable $talk): void {
		$this->release();
		$this->saw($this->link()['seen']['seq'] + 1, str_repeat('a', 64));
		$talk($this);
		$this->assertNotNull($this->host->rollback()->suspectedAt());
	}

	/** @dataProvider conversations */
	public function testAHeadThatGoesOnIsRememberedAndNotSuspected(callable $talk): void {
		$this->release();
		$before = $this->link()['seen']['seq'];
		$talk($this);
		$this->assertGreaterThan($before, $this->link()['seen']['seq']);
		$this->assertNull($this->host->rollback()->suspectedAt());
	}

	public function testADismissedSuspicionComesBackOnlyWithNewEvidence(): void {
		$this->release();
		$this->saw(999, str_repeat('a', 64));
		$this->release();
		$this->host->dismissRollback();
		$this->release();
		$this->assertNull($this->host->rollback()->suspectedAt());
		$this->assertLessThan(999, $this->link()['seen']['seq']);
		$this->saw(999, str_repeat('a', 64));
		$this->release();
		$this->assertNotNull($this->host->rollback()->suspectedAt());
	}

	public function testTheHighestHeadIsSentAsSeen(): void {
		$this->release();
		$this->host->client()->heartbeat();
		$seen = $this->link()['seen'];
		$this->release();
		$sent = array_column(array_column($this->server->requests('POST /v1/open'), 'body'), 'seen');
		$this->assertSame([null, $seen], $sent);
	}

	public function testTheHeadOfAnOpenIsRememberedThoughTheReleaseIsLost(): void {
		$this->server->behave(['/v1/release' => 'lose-request']);
		$this->fails('unreachable');
		$this->assertSame(1, $this->link()['seen']['seq']);
	}

	public function testOtherBytesUnderAStoredIdAreRefused(): void {
		$this->expectExceptionMessage('key_exists');
		$this->host->client()->putKey(self::ID, 'other', str_repeat('C', 43));
	}

	/** @return array<string, mixed> */
	private function release(): array {
		return $this->host->client()->release([self::ID], 'cold');
	}

	private function saw(int $seq, string $head): void {
		file_put_contents($this->dir . '/link.json', json_encode(['seen' => ['seq' => $seq, 'head' => $head]] + $this->link()));
	}

	private function clientAt(int $nowMs): ReleaseClient {
		return new ReleaseClient(
			$this->host->folder(),
			$this->host->credentials(),
			$this->host->links(),
			$this->host->releases(),
			static fn (): int => $nowMs
		);
	}

	private function fails(string $code): void {
		try {
			$this->release();
		} catch (WireError $e) {
			$this->assertSame($code, $e->code(), $e->getMessage());
			return;
		}
		$this->fail('it was released');
	}

	/** @return array<string, mixed> */
	private function link(): array {
		return json_decode((string)file_get_contents($this->dir . '/link.json'), true);
	}
}

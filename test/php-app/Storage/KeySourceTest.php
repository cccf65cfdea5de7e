<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Storage;

use LatchkeyTest\KeyServer;
use LatchkeyTest\NextcloudBlob;
use OCA\RemoteKeyStorage\Cache\ProcessStore;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\Storage\KeySource;
use OCA\RemoteKeyStorage\Storage\Refusal;
use OCA\RemoteKeyStorage\Wire\WireError;
use OCP\Encryption\Exceptions\GenericEncryptionException;
use PHPUnit\Framework\TestCase;

final class KeySourceTest extends TestCase {
	private const ID = 'master_1.privateKey';
	private static string $pem;
	private static string $blob;
	private KeyServer $server;
	private string $dir;
	private Host $host;
	private KeySource $keys;
	private int $ahead = 0;

	public static function setUpBeforeClass(): void {
		self::$pem = NextcloudBlob::pem();
		// few rounds, so that the tests do not spend their time in PBKDF2
		self::$blob = NextcloudBlob::seal(self::$pem, 'secret', 'instance', 'master_1', 'password');
	}

	protected function setUp(): void {
		$this->server = new KeyServer();
		$this->dir = $this->server->enrolled([self::ID => self::$blob, 'pubShare_1.privateKey' => 'as it is']);
		$this->host = Host::at($this->dir, 'secret', 'instance', new ProcessStore());
		$this->keys = new KeySource($this->host, fn (): int => (int)(microtime(true) * 1000) + $this->ahead);
	}

	protected function tearDown(): void {
		$this->server->stop();
	}

	public function testTheMasterKeyIsRewrappedAndOthersAreNot(): void {
		$given = $this->keys->get(self::ID);
		$this->assertNotSame(self::$blob, $given);
		$this->assertSame(self::$pem, $this->host->rewrap()->open($given, 'master_1'));
		$this->assertSame('as it is', $this->keys->get('pubShare_1.privateKey'));
	}

	public function testOneReleaseServesMany(): void {
		$this->assertSame($this->keys->get(self::ID), $this->keys->get(self::ID));
		$this->assertCount(1, $this->releases());
	}

	public function testAfterItsTimeItIsRenewed(): void {
		$first = $this->keys->get(self::ID);
		$this->ahead = 3600000;
		$this->assertSame($first, $this->keys->get(self::ID), 'the same bytes need not be re-wrapped');
		$this->assertCount(2, $this->releases());
	}

	public function testWhileOneRenewsTheOthersGoOn(): void {
		$first = $this->keys->get(self::ID);
		$this->ahead = 3600000;
		$lock = $this->host->folder()->lock(0);
		$this->assertSame($first, $this->keys->get(self::ID));
		$this->assertCount(1, $this->releases());
		$lock->release();
	}

	public function testAnUnreachableServerDoesNotTakeTheOldValueAway(): void {
		$first = $this->keys->get(self::ID);
		$this->server->stop();
		$this->ahead = 3600000;
		$this->assertSame($first, $this->keys->get(self::ID));
		$this->assertTrue($this->host->breaker()->state()['open']);
		$this->assertSame('unavailable', $this->host->releases()->recent()[0]['outcome']);
	}

	public function testADiskThatCannotBeWrittenDoesNotTakeTheOldValueAway(): void {
		$first = $this->keys->get(self::ID);
		$this->ahead = 3600000;
		unlink($this->dir . '/link.json');
		$this->assertSame($first, $this->keys->get(self::ID));
		unlink($this->dir . '/lock');
		mkdir($this->dir . '/lock');
		$this->assertSame($first, $this->keys->get(self::ID));
		rmdir($this->dir . '/lock');
		$this->assertCount(1, $this->releases());
	}

	/** @return array<string, array{int, string, bool}> */
	public function verdicts(): array {
		return [
			'unauthorized' => [401, 'unauthorized', true],
			'source refused' => [403, 'source_refused', true],
			'refused by a gate of a later version' => [403, 'certificate_refused', true],
			'locked' => [423, 'locked', true],
			'killed' => [503, 'killed', true],
			'sealed' => [503, 'sealed', false],
			'degraded' => [503, 'degraded', false],
			'too often' => [429, 'rate_limited', false],
			'stale, although said twice' => [409, 'stale_message', false],
			'held for approval' => [202, 'approval_pending', false],
			'another machine' => [403, 'fingerprint_refused', true],
			'at night' => [403, 'outside_hours', true],
			'a person said no' => [403, 'approval_denied', true],
			'no such key' => [404, 'not_found', false],
			'a proxy in between' => [502, 'nothing_known', false],
		];
	}

	/** @dataProvider verdicts */
	public function testOnlyTheServersNoDropsTheKey(int $status, string $code, bool $drops): void {
		$first = $this->keys->get(self::ID);
		$this->server->behave(['/v1/open' => [$status, ['code' => $code]]]);
		$this->ahead = 3600000;
		if ($drops) {
			$this->refused();
			$this->assertNull($this->host->cache()->read(self::ID));
			$this->assertFileExists($this->dir . '/purge', 'other SAPIs must drop it too');
			$this->refused();
		} else {
			$this->assertSame($first, $this->keys->get(self::ID));
		}
	}

	/** @return array<string, array{int, string, string}> */
	public function outcomes(): array {
		return [
			'refused' => [423, 'locked', 'denied'],
			'waiting for a person' => [202, 'approval_pending', 'held'],
			'a key the server does not hold' => [404, 'not_found', 'not_found'],
			'closed' => [503, 'sealed', 'unavailable'],
		];
	}

	/** @dataProvider outcomes */
	public function testTheLogTellsOneRefusalFromAnother(int $status, string $code, string $outcome): void {
		$this->server->behave(['/v1/open' => [$status, ['code' => $code]]]);
		$this->refused();
		$newest = $this->host->releases()->recent()[0];
		$this->assertSame([$outcome, $code], [$newest['outcome'], $newest['code']]);
	}

	public function testWhileAPersonIsAskedTheOldValueServesAndNobodyAsksAgain(): void {
		$first = $this->keys->get(self::ID);
		$held = ['approval' => 'ap-0123456789abcdef', 'retryAfter' => 30, 'code' => 'approval_pending'];
		$this->server->behave(['/v1/open' => [202, $held]]);
		$this->ahead = 3600000;
		for ($i = 0; $i < 3; $i++) {
			$this->assertSame($first, $this->keys->get(self::ID));
		}
		$this->assertCount(2, $this->server->requests('POST /v1/open'), 'one for the first release, one that was held');
		$newest = $this->host->releases()->recent()[0];
		$this->assertSame(['held', 'approval_pending', 'ap-0123456789abcdef'], [$newest['outcome'], $newest['code'], $newest['detail']]);
		$this->assertFileDoesNotExist($this->dir . '/purge');
	}

	public function testWithNothingInRamAHoldIsTheReasonThatIsLogged(): void {
		$held = ['approval' => 'ap-0123456789abcdef', 'retryAfter' => 30, 'code' => 'approval_pending'];
		$this->server->behave(['/v1/open' => [202, $held]]);
		foreach (['asked', 'not asked again'] as $turn) {
			try {
				$this->keys->get(self::ID);
				$this->fail('it was handed out');
			} catch (GenericEncryptionException $e) {
				$this->assertStringContainsString('waits for approval ap-0123456789abcdef', Refusal::story($e), $turn);
				$this->assertStringContainsString('keyserver approval show', Refusal::story($e), $turn);
				$this->assertStringNotContainsString('ap-0123', $e->getMessage(), 'visitors are not told');
			}
		}
		$this->assertCount(1, $this->server->requests('POST /v1/open'));
	}

	public function testARequestThatLapsedTakesNothingAway(): void {
		$first = $this->keys->get(self::ID);
		$this->server->behave(['/v1/open' => [403, ['code' => 'approval_denied', 'reason' => 'lapsed']]]);
		$this->ahead = 3600000;
		$this->assertSame($first, $this->keys->get(self::ID));
		$this->assertSame('denied', $this->host->releases()->recent()[0]['outcome']);
		$this->assertFileDoesNotExist($this->dir . '/purge');
	}

	public function testAPurgeMeansANewRelease(): void {
		$this->keys->get(self::ID);
		$this->host->purgeMarker()->raise();
		$this->keys->get(self::ID);
		$this->keys->get(self::ID);
		$this->assertCount(2, $this->releases());
	}

	public function testAHeartbeatThatSaysPurgeDropsTheKey(): void {
		$this->keys->get(self::ID);
		$this->server->behave(['/v1/heartbeat' => [200, [
			'state' => 'purge', 'policy' => ['ttl' => 1, 'staleIfError' => 1], 'head' => ['seq' => 9, 'hash' => str_repeat('a', 64)],
		]]]);
		$this->assertSame('purge', $this->host->heartbeat()['state']);
		$this->assertNull($this->host->cache()->read(self::ID));
	}

	public function testADeadServerIsNotAskedByEverybody(): void {
		$this->server->behave(['/v1/open' => [503, ['code' => 'sealed']]]);
		for ($i = 0; $i < 5; $i++) {
			$this->refused();
		}
		$this->assertCount(1, $this->server->requests('POST /v1/open'));
	}

	public function testAfterAFailureNobodyWaitsForTheOneWhoTries(): void {
		$this->host->folder()->write('breaker.json', '{"failures":1,"until":1,"code":"unreachable","message":"x"}');
		$lock = $this->host->folder()->lock(0);
		$start = microtime(true);
		$this->refused();
		$this->assertLessThan(0.5, microtime(true) - $start);
		$lock->release();
		$this->keys->get(self::ID);
		$this->assertFileDoesNotExist($this->dir . '/breaker.json');
	}

	public function testAFreshReleasePassesCacheAndBreaker(): void {
		$this->keys->get(self::ID);
		$this->host->breaker()->failed(new WireError('unreachable', 'x'));
		$this->assertSame([self::ID => self::$blob], $this->keys->fresh([self::ID], 'verify'));
		$this->assertCount(2, $this->releases());
		$this->assertFalse($this->host->breaker()->isTrying());
	}

	public function testAKeyOfAnotherInstanceIsNotHandedOut(): void {
		$this->host = Host::at($this->dir, 'another secret', 'instance', new ProcessStore());
		$this->keys = new KeySource($this->host);
		$this->assertStringContainsString('blob_signature', $this->refused());
	}

	public function testWhatIsNoKeyIsNotHandedOut(): void {
		foreach (['<html></html>', self::$pem] as $bytes) {
			$dir = $this->server->enrolled(['master_2.privateKey' => 'x']);
			$head = ['seq' => 99, 'hash' => str_repeat('a', 64)];
			$this->server->behave(['/v1/release' => [200, [
				'keys' => ['master_2.privateKey' => base64_encode($bytes)], 'policy' => ['ttl' => 1, 'staleIfError' => 1], 'head' => $head,
			]]]);
			try {
				Host::at($dir, 'secret', 'instance', new ProcessStore())->keys()->get('master_2.privateKey');
				$this->fail('it was handed out');
			} catch (GenericEncryptionException $e) {
				$this->assertStringContainsString('blob_format', $e->getMessage());
			}
			$this->server->behave([]);
		}
	}

	public function testManyWorkersMakeOneExchange(): void {
		$this->server->behave(['delayMs' => 100]);
		$scratch = KeyServer::scratch('ram');
		$workers = [];
		for ($i = 0; $i < 8; $i++) {
			$pipes = [];
			$workers[] = [proc_open([PHP_BINARY, __DIR__ . '/worker.php', $this->dir, $scratch, self::ID], [1 => ['pipe', 'w']], $pipes), $pipes[1]];
		}
		$results = [];
		foreach ($workers as [$process, $pipe]) {
			$results[] = stream_get_contents($pipe);
			proc_close($process);
		}
		$this->assertSame(array_fill(0, 8, hash('sha256', self::$pem)), $results);
		$this->assertCount(1, $this->releases());
	}

	public function testMessagesTellTheAdministratorAndNotTheVisitor(): void {
		$this->server->stop();
		$this->keys = $this->host->keys();
		try {
			$this->keys->get(self::ID);
			$this->fail('it was handed out');
		} catch (GenericEncryptionException $e) {
			$this->assertStringContainsString($this->server->url(), Refusal::story($e));
			$this->assertStringNotContainsString($this->server->url(), $e->getMessage() . $e->getHint());
			$this->assertStringNotContainsString(str_repeat('A', 43), (string)$e);
		}
	}

	/** @return list<array<string, mixed>> */
	private function releases(): array {
		return $this->server->requests('POST /v1/release');
	}

	private function refused(): string {
		try {
			$this->keys->get(self::ID);
		} catch (GenericEncryptionException $e) {
			return $e->getMessage();
		}
		$this->fail('it was handed out');
	}
}

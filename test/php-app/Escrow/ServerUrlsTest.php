<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Escrow\ServerUrls;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\Credentials;
use PHPUnit\Framework\TestCase;

final class ServerUrlsTest extends TestCase {
	private const ID = 'master_1.privateKey';
	private const DEAD = 'https://127.0.0.1:9';

	private KeyServer $server;
	/** The same key server, heard at another address. */
	private KeyServer $other;
	private string $dir;
	private Host $host;

	protected function setUp(): void {
		$this->server = new KeyServer();
		$this->other = new KeyServer(false, $this->server);
		$this->dir = $this->server->enrolled([self::ID => 'x']);
		$this->host = Host::at($this->dir);
		$this->host->client()->release([self::ID], 'verify');
		$this->answers(['state' => 'ok']);
	}

	protected function tearDown(): void {
		$this->server->stop();
		$this->other->stop();
	}

	/** @param array<string, mixed> $fields what the other address answers a heartbeat with */
	private function answers(array $fields): void {
		$good = ['policy' => ['ttl' => 60, 'staleIfError' => 60], 'head' => ['seq' => 900, 'hash' => str_repeat('a', 64)]];
		$this->other->behave(['/v1/heartbeat' => [200, $fields + $good]]);
	}

	private function refusesEverything(int $status, string $code): void {
		$this->other->behave(['/v1/heartbeat' => [$status, ['code' => $code, 'status' => $status]]]);
	}

	private function urls(): ServerUrls {
		return new ServerUrls($this->host);
	}

	/** @param list<string> $urls */
	private function assertRefused(string $reason, array $urls, bool $unchecked = false): Failure {
		$before = file_get_contents($this->dir . '/client.json');
		try {
			$this->urls()->replace($urls, $unchecked);
		} catch (Failure $failure) {
			$this->assertSame($reason, $failure->reason());
			$this->assertSame($before, file_get_contents($this->dir . '/client.json'));
			$this->assertStringContainsString((string)end($urls), $failure->getMessage());
			$this->assertStringContainsString('as they were', $failure->hint());
			return $failure;
		}
		$this->fail('not refused');
	}

	/** @return array<string, array{bool}> */
	public function ways(): array {
		return ['checked' => [false], 'unchecked' => [true]];
	}

	/** @dataProvider ways */
	public function testRefusesAServerOfAnotherAuthority(bool $unchecked): void {
		$stranger = new KeyServer();
		$this->assertRefused('tls_failed', [$this->server->url(), $stranger->url()], $unchecked);
		$this->assertSame([], $stranger->requests());
		$stranger->stop();
	}

	/** @return array<string, array{int, string, bool}> */
	public function denials(): array {
		$all = [];
		foreach ([[401, 'unauthorized'], [403, 'source_refused'], [423, 'locked'], [429, 'rate_limited'], [404, 'not_found']] as [$status, $code]) {
			$all[$code] = [$status, $code, false];
			$all[$code . ' unchecked'] = [$status, $code, true];
		}
		return $all;
	}

	/** @dataProvider denials */
	public function testRefusesAServerThatRefusesThisHost(int $status, string $code, bool $unchecked): void {
		$this->refusesEverything($status, $code);
		$this->assertRefused($code, [$this->other->url()], $unchecked);
	}

	/** @dataProvider ways */
	public function testRefusesWhatIsNoKeyServer(bool $unchecked): void {
		$this->other->behave(['/v1/heartbeat' => [200, '<html>']]);
		$this->assertRefused('bad_answer', [$this->other->url()], $unchecked);
	}

	/** @dataProvider ways */
	public function testRefusesAServerThatShowsAnOlderAuditLog(bool $unchecked): void {
		$this->host->client()->heartbeat();
		$this->answers(['state' => 'ok', 'head' => ['seq' => 1, 'hash' => str_repeat('b', 64)]]);
		$this->assertRefused('server_rollback_suspected', [$this->other->url()], $unchecked);
		$this->assertNotNull($this->host->rollback()->suspectedAt());
	}

	/** @dataProvider ways */
	public function testAServerThatSaysPurgeIsObeyedAndNotTaken(bool $unchecked): void {
		$this->answers(['state' => 'purge']);
		$before = (int)@filesize($this->dir . '/purge');
		$this->assertRefused('purge', [$this->other->url()], $unchecked);
		clearstatcache();
		$this->assertNotSame($before, (int)@filesize($this->dir . '/purge'));
	}

	public function testRefusesOneThatIsDownAndSaysHowToTakeItAllTheSame(): void {
		$failure = $this->assertRefused('unreachable', [$this->other->url(), self::DEAD]);
		$this->assertStringContainsString('--unchecked', $failure->hint());
		$this->refusesEverything(503, 'sealed');
		$this->assertStringContainsString('--unchecked', $this->assertRefused('sealed', [$this->other->url()])->hint());
	}

	public function testUncheckedTakesWhatIsDownAndTellsWhich(): void {
		$this->assertSame([self::DEAD], $this->urls()->replace([self::DEAD, $this->other->url()], true));
		$this->assertSame([self::DEAD, $this->other->url()], $this->urls()->all());
		$this->refusesEverything(503, 'sealed');
		$this->assertSame([$this->other->url()], $this->urls()->replace([$this->other->url()], true));
	}

	public function testOneBadUrlAmongGoodOnesChangesNothing(): void {
		$this->refusesEverything(401, 'unauthorized');
		$this->assertRefused('unauthorized', [$this->server->url(), $this->other->url()], true);
	}

	public function testNothingIsChangedWhereTheHostIsNotEnrolled(): void {
		unlink($this->dir . '/client.json');
		foreach ([fn () => $this->urls()->all(), fn () => $this->urls()->replace([self::DEAD], true)] as $work) {
			try {
				$work();
				$this->fail('not refused');
			} catch (Failure $failure) {
				$this->assertContains($failure->reason(), ['not_enrolled', 'state_missing']);
			}
		}
		$this->assertFileDoesNotExist($this->dir . '/client.json');
	}

	public function testOnlyHeartbeatsAreSentAndNoLinkMoves(): void {
		$before = json_decode((string)file_get_contents($this->dir . '/link.json'), true);
		$asked = count($this->server->requests());
		$this->assertSame([], $this->urls()->replace([$this->server->url(), $this->other->url()], false));
		$this->assertSame([$this->server->url(), $this->other->url()], $this->urls()->all());
		$after = json_decode((string)file_get_contents($this->dir . '/link.json'), true);
		$this->assertSame([$before['current'], $before['next']], [$after['current'], $after['next']]);
		$this->assertGreaterThan($before['time'], $after['time']);
		$routes = array_column(array_merge($this->other->requests(), array_slice($this->server->requests(), $asked)), 'route');
		$this->assertSame(['POST /v1/heartbeat', 'POST /v1/heartbeat'], $routes);
		$this->host->client()->release([self::ID], 'verify');
	}

	public function testSecretsThatWereStoredMeanwhileStay(): void {
		$this->assertNotNull($this->host->credentials());
		$token = str_repeat('B', 42) . 'A';
		Credentials::load($this->host->folder())->withSecrets($token, null)->save($this->host->folder());
		$this->urls()->replace([$this->other->url()], false);
		$after = Credentials::load($this->host->folder());
		$this->assertSame([$token, [self::ID], 'master_1'], [$after->token(), $after->keys(), $after->masterKeyId()]);
		$this->assertSame([$this->other->url()], $this->host->credentials()->urls());
		$this->assertSame(0600, fileperms($this->dir . '/client.json') & 0777);
	}

	public function testAnAnswerEndsTheWaitThatAnUnreachableServerBegan(): void {
		$this->server->stop();
		try {
			$this->host->client()->release([self::ID], 'cold');
		} catch (\OCA\RemoteKeyStorage\Wire\WireError $error) {
			$this->host->refused($error);
		}
		$this->assertNotNull($this->host->breaker()->refusal());
		$this->urls()->replace([$this->other->url()], false);
		$this->assertNull($this->host->breaker()->refusal());
	}
}

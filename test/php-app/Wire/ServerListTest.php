<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Cache\ProcessStore;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\Wire\ReleaseClient;
use OCA\RemoteKeyStorage\Wire\ServerList;
use OCA\RemoteKeyStorage\Wire\WireError;
use PHPUnit\Framework\TestCase;

final class ServerListTest extends TestCase {
	private const A = 'https://10.8.0.1:8443';
	private const B = 'https://10.8.0.2:8443';
	private const C = 'https://10.8.0.3:8443';
	private const ID = 'master_1.privateKey';
	private ProcessStore $ram;
	private int $now = 1700000000000;

	protected function setUp(): void {
		$this->ram = new ProcessStore();
	}

	public function testTheOperatorsOrderStandsWhileNothingIsKnown(): void {
		$this->assertSame([self::A, self::B, self::C], $this->list()->inOrder());
	}

	public function testTheLastThatAnsweredComesFirst(): void {
		$this->list()->answered(self::C);
		$this->assertSame([self::C, self::A, self::B], $this->list()->inOrder());
	}

	public function testOneThatFailedWaitsBehindTheOthersForAMoment(): void {
		$this->list()->answered(self::A);
		$this->list()->failed(self::A);
		$this->assertSame([self::B, self::C, self::A], $this->list()->inOrder());
		$this->now += 4999;
		$this->assertSame([self::B, self::C, self::A], $this->list()->inOrder());
		$this->now += 1;
		$this->assertSame([self::A, self::B, self::C], $this->list()->inOrder());
	}

	public function testItWaitsLongerEachTimeAndNeverLongerThanFiveMinutes(): void {
		foreach ([5, 10, 20, 40, 80, 160, 300, 300] as $seconds) {
			$this->list()->failed(self::A);
			$this->now += $seconds * 1000 - 1;
			$this->assertSame(self::B, $this->list()->inOrder()[0]);
			$this->now += 1;
			$this->assertSame(self::A, $this->list()->inOrder()[0]);
		}
	}

	public function testAnAnswerForgetsTheFailures(): void {
		$this->list()->failed(self::A);
		$this->list()->failed(self::A);
		$this->list()->answered(self::A);
		$this->assertSame([self::A, self::B, self::C], $this->list()->inOrder());
		$this->list()->failed(self::A);
		$this->now += 5000;
		$this->assertSame(self::A, $this->list()->inOrder()[0]);
	}

	public function testWhatWasRememberedOfAnotherOrderIsForgotten(): void {
		$this->list()->answered(self::C);
		$this->list()->failed(self::A);
		$turned = new ServerList([self::B, self::A, self::C], $this->ram, fn (): int => $this->now);
		$this->assertSame([self::B, self::A, self::C], $turned->inOrder());
		$this->assertSame([self::C, self::B, self::A], $this->list()->inOrder());
	}

	public function testWhenAllFailedAllAreStillAsked(): void {
		foreach ([self::A, self::B, self::C] as $url) {
			$this->list()->failed($url);
		}
		$this->assertSame([self::A, self::B, self::C], $this->list()->inOrder());
	}

	public function testAClockThatWasSetBackHoldsNobodyBack(): void {
		$this->list()->failed(self::A);
		$this->now -= 86400000;
		$this->assertSame(self::A, $this->list()->inOrder()[0]);
	}

	/** @return array<string, array{string}> */
	public function rubbish(): array {
		return [
			'no JSON' => ['{'], 'a list' => ['[1]'], 'another good one' => ['{"good":7,"failed":{}}'],
			'failures that are none' => ['{"good":"","failed":{"x":{"times":"1","until":[]},"y":1}}'],
			'too deep' => ['{"good":{"a":{"b":{"c":1}}}}'],
		];
	}

	/** @dataProvider rubbish */
	public function testWhatOthersPutThereChangesNothing(string $text): void {
		$this->ram->set('servers', $text, 60);
		$this->assertSame([self::A, self::B, self::C], $this->list()->inOrder());
		$this->list()->failed(self::A);
		$this->assertSame(self::B, $this->list()->inOrder()[0]);
	}

	public function testASingleServerIsNotRemembered(): void {
		$list = new ServerList([self::A], $this->ram);
		$list->failed(self::A);
		$list->answered(self::A);
		$this->assertNull($this->ram->get('servers'));
	}

	public function testADeadServerCostsOneExchangeAndNotTheNext(): void {
		$server = new KeyServer();
		$dead = 'https://127.0.0.1:9';
		$dir = $server->enrolled([self::ID => 'x'], [$dead, $server->url()]);
		$host = Host::at($dir, '', '', $this->ram);
		$this->assertSame('x', $host->client()->release([self::ID], 'cold')['keys'][self::ID]);
		$this->assertSame([$server->url(), $dead], (new ServerList([$dead, $server->url()], $this->ram))->inOrder());
		$server->stop();
	}

	public function testAReleaseThatBreaksBeginsAtOpenElsewhereWithTheNewestLink(): void {
		$server = new KeyServer();
		$other = new KeyServer(false, $server);
		$dir = $server->enrolled([self::ID => 'x'], [$server->url(), $other->url()]);
		$server->behave(['/v1/release' => 'lose-request']);
		$other->behave(['/v1/open' => [423, ['code' => 'locked', 'reason' => 'killed']]]);
		try {
			Host::at($dir, '', '', $this->ram)->client()->release([self::ID], 'cold');
			$this->fail('it was released');
		} catch (WireError $e) {
			$this->assertSame('locked', $e->code());
		}
		$lost = $server->requests('POST /v1/release')[0]['body'];
		$opened = $other->requests('POST /v1/open')[0]['body'];
		$this->assertSame($lost['link'], $opened['link']);
		$this->assertGreaterThan($lost['time'], $opened['time']);
		$this->assertSame([], $other->requests('POST /v1/release'));
		$this->assertSame($other->url(), (new ServerList([$server->url(), $other->url()], $this->ram))->inOrder()[0]);
		$server->stop();
		$other->stop();
	}

	public function testASilentServerLeavesTimeForTheNext(): void {
		$server = new KeyServer();
		$silent = new KeyServer(false, $server);
		$silent->behave(['/v1/open' => 'hang']);
		$dir = $server->enrolled([self::ID => 'x']);
		$client = json_decode((string)file_get_contents($dir . '/client.json'), true);
		file_put_contents($dir . '/client.json', json_encode(['urls' => [$silent->url(), $server->url()]] + $client));
		$host = Host::at($dir, '', '', $this->ram);
		$this->assertSame('x', $host->client()->release([self::ID], 'cold')['keys'][self::ID]);
		$this->assertCount(1, $silent->requests('POST /v1/open'));
		$host->client()->release([self::ID], 'cold');
		$this->assertCount(1, $silent->requests('POST /v1/open'));
		$server->stop();
		$silent->stop();
	}

	public function testARefusalIsNotCarriedToTheNext(): void {
		$server = new KeyServer();
		$other = new KeyServer(false, $server);
		$dir = $server->enrolled([self::ID => 'x'], [$server->url(), $other->url()]);
		$server->behave(['/v1/open' => [429, ['code' => 'rate_limited']]]);
		try {
			Host::at($dir, '', '', $this->ram)->client()->release([self::ID], 'cold');
			$this->fail('it was released');
		} catch (WireError $e) {
			$this->assertSame('rate_limited', $e->code());
		}
		$this->assertSame([], $other->requests());
		$server->stop();
		$other->stop();
	}

	private function list(): ServerList {
		return new ServerList([self::A, self::B, self::C], $this->ram, fn (): int => $this->now);
	}
}

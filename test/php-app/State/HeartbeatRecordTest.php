<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\HeartbeatRecord;
use OCA\RemoteKeyStorage\State\StateFolder;
use OCA\RemoteKeyStorage\Wire\WireError;
use PHPUnit\Framework\TestCase;

final class HeartbeatRecordTest extends TestCase {
	private const NONE = ['time' => null, 'code' => null, 'answered' => null];

	public function testAFailureKeepsTheTimeOfTheLastGoodAnswer(): void {
		$record = new HeartbeatRecord(new StateFolder(KeyServer::scratch('state')));
		$this->assertSame(self::NONE, $record->last());
		$record->note('ok', 5000);
		$record->note('timeout', 6000);
		$this->assertSame(['time' => 6000, 'code' => 'timeout', 'answered' => 5000], $record->last());
		$record->note('purge', 7000);
		$this->assertSame(5000, $record->last()['answered']);
	}

	public function testADamagedFileIsAsNone(): void {
		$folder = new StateFolder(KeyServer::scratch('state'));
		$folder->write('heartbeat.json', '{"time":"1"');
		$this->assertSame(self::NONE, (new HeartbeatRecord($folder))->last());
	}

	public function testAHeartbeatOfTheAppIsRecordedWhateverItsEnd(): void {
		$server = new KeyServer();
		$host = Host::at($server->enrolled([]));
		$host->heartbeat();
		$first = $host->heartbeats()->last();
		$this->assertSame('ok', $first['code']);
		$server->stop();
		try {
			$host->heartbeat();
			$this->fail('somebody answered');
		} catch (WireError $e) {
			$this->assertSame(['unreachable', $first['answered']], [$host->heartbeats()->last()['code'], $host->heartbeats()->last()['answered']]);
		}
	}

	public function testPurgeRaisesTheMarker(): void {
		$server = new KeyServer();
		$dir = $server->enrolled([]);
		$server->behave(['/v1/heartbeat' => [200, [
			'state' => 'purge', 'policy' => ['ttl' => 1, 'staleIfError' => 1], 'head' => ['seq' => 9, 'hash' => str_repeat('a', 64)],
		]]]);
		$this->assertSame('purge', Host::at($dir)->heartbeat()['state']);
		$this->assertFileExists($dir . '/purge');
		$this->assertSame('purge', Host::at($dir)->heartbeats()->last()['code']);
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\State\PurgeMarker;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateFolder;
use PHPUnit\Framework\TestCase;

final class PurgeMarkerTest extends TestCase {
	public function testEachRaiseShows(): void {
		$marker = new PurgeMarker(new StateFolder(KeyServer::scratch('state')));
		$stamps = [$marker->stamp()];
		foreach ([1, 2, 3] as $time) {
			$marker->raise();
			$stamps[] = $marker->stamp();
		}
		$this->assertSame($stamps, array_unique($stamps));
		$this->assertSame($marker->stamp(), $marker->stamp());
	}

	public function testATouchByHandShows(): void {
		$folder = new StateFolder(KeyServer::scratch('state'));
		$marker = new PurgeMarker($folder);
		$marker->raise();
		$before = $marker->stamp();
		touch($folder->file('purge'), time() + 10);
		$this->assertNotSame($before, $marker->stamp());
	}

	public function testAMarkerThatCannotBeRaisedIsNotPassedOver(): void {
		$this->expectException(StateError::class);
		(new PurgeMarker(new StateFolder('/nonexistent')))->raise();
	}
}

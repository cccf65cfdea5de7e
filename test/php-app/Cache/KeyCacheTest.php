<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Cache;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Cache\Entry;
use OCA\RemoteKeyStorage\Cache\KeyCache;
use OCA\RemoteKeyStorage\Cache\ProcessStore;
use OCA\RemoteKeyStorage\State\PurgeMarker;
use OCA\RemoteKeyStorage\State\StateFolder;
use PHPUnit\Framework\TestCase;

final class KeyCacheTest extends TestCase {
	private const START = 1700000000000;
	private int $now = self::START;
	private ProcessStore $store;
	private PurgeMarker $marker;
	private KeyCache $cache;

	protected function setUp(): void {
		$this->store = new ProcessStore();
		$this->marker = new PurgeMarker(new StateFolder(KeyServer::scratch('state')));
		$this->cache = new KeyCache($this->store, $this->marker, static fn (): array => ['k'], fn (): int => $this->now);
		$this->cache->write('k', new Entry("bytes \0 of a key", 'digest', self::START, 3600, 86400, $this->marker->stamp()));
	}

	/** @return array<string, array{int, bool, bool}> seconds later, usable, fresh */
	public function moments(): array {
		return [
			'at once' => [0, true, true],
			'a second before ttl' => [3599, true, true],
			'at ttl' => [3600, true, false],
			'a second before the end' => [86399, true, false],
			'at the end' => [86400, false, false],
			'after the end' => [86401, false, false],
			'clock a little back' => [-59, true, true],
			'clock far back' => [-60, false, false],
		];
	}

	/** @dataProvider moments */
	public function testServesUntil(int $seconds, bool $usable, bool $fresh): void {
		$this->now = self::START + $seconds * 1000;
		$entry = $this->cache->read('k');
		$this->assertSame($usable, $entry !== null);
		if ($entry !== null) {
			$this->assertSame("bytes \0 of a key", $entry->blob());
			$this->assertSame($fresh, $entry->isFresh($this->now));
		} else {
			$this->assertNull($this->store->get('k'), 'what may not serve must not stay in RAM');
		}
	}

	public function testAPurgeEmptiesItAtOnce(): void {
		$this->marker->raise();
		$this->assertNull($this->cache->read('k'));
		$this->assertNull($this->store->get('k'));
	}

	public function testSweepingDropsWhatNobodyAsksFor(): void {
		$this->cache->sweep();
		$this->assertNotNull($this->store->get('k'));
		$this->marker->raise();
		$this->cache->sweep();
		$this->assertNull($this->store->get('k'));
	}

	public function testWithoutStaleIfErrorTheTtlIsTheEnd(): void {
		$this->cache->write('k', new Entry('x', 'digest', self::START, 10, 0, $this->marker->stamp()));
		$this->now = self::START + 10000;
		$this->assertNull($this->cache->read('k'));
	}

	public function testAPolicyOfNothingKeepsNothing(): void {
		$this->cache->forget();
		$this->cache->write('k', new Entry('x', 'digest', self::START, 0, 0, $this->marker->stamp()));
		$this->assertNull($this->store->get('k'));
	}

	public function testRubbishInTheStoreIsNoKey(): void {
		foreach (['', '1', '2 d 1 1 1 none YQ==', '1 d 1 1 1 none @@', '1 d 1700000000000 3600 86400 none '] as $text) {
			$this->store->set('k', $text, 60);
			$this->assertNull($this->cache->read('k'));
		}
	}

	public function testDumpsDoNotShowKeys(): void {
		$this->assertStringNotContainsString('of a key', print_r($this->cache, true) . print_r($this->cache->read('k'), true));
	}
}

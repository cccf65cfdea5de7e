<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateFolder;
use PHPUnit\Framework\TestCase;

final class StateFolderTest extends TestCase {
	private string $dir;
	private StateFolder $folder;

	protected function setUp(): void {
		$this->dir = KeyServer::scratch('state');
		$this->folder = new StateFolder($this->dir);
	}

	protected function tearDown(): void {
		@chmod($this->dir, 0700);
	}

	public function testWritesWholeFilesOnlyTheirOwnerReads(): void {
		$old = umask(0);
		$this->folder->write('client.json', 'one');
		$this->folder->write('client.json', 'two');
		umask($old);
		$this->assertSame('two', $this->folder->read('client.json'));
		$this->assertSame(0600, fileperms($this->dir . '/client.json') & 0777);
		$this->assertSame(['.', '..', 'client.json'], scandir($this->dir));
	}

	public function testWhatIsNotThereIsNull(): void {
		$this->assertNull($this->folder->read('client.json'));
		$this->assertNull((new StateFolder($this->dir . '/none'))->read('client.json'));
	}

	/** @return array<string, array{int}> */
	public function openModes(): array {
		return ['group may read' => [0640], 'others may read' => [0604], 'group may write' => [0620], 'all' => [0666]];
	}

	/** @dataProvider openModes */
	public function testRefusesAFileOthersCanReach(int $mode): void {
		$this->folder->write('client.json', 'x');
		chmod($this->dir . '/client.json', $mode);
		$this->refuses('state_mode', fn () => $this->folder->read('client.json'));
	}

	public function testRefusesALinkInPlaceOfAFile(): void {
		$this->folder->write('other', 'x');
		symlink($this->dir . '/other', $this->dir . '/client.json');
		$this->refuses('state_mode', fn () => $this->folder->read('client.json'));
	}

	public function testRefusesAnOpenOrMissingFolder(): void {
		chmod($this->dir, 0750);
		$this->refuses('state_mode', fn () => $this->folder->assertUsable());
		$this->refuses('state_missing', fn () => (new StateFolder($this->dir . '/none'))->assertUsable());
	}

	public function testRefusesAnothersFile(): void {
		if (posix_geteuid() !== 0) {
			$this->markTestSkipped('needs root to give a file away');
		}
		$this->folder->write('client.json', 'x');
		chown($this->dir . '/client.json', 65534);
		$this->refuses('state_owner', fn () => $this->folder->read('client.json'));
	}

	public function testAFailedWriteLeavesTheOldContent(): void {
		$this->folder->write('link.json', 'old');
		mkdir($this->dir . '/in-the-way.json');
		$this->refuses('state_write', fn () => $this->folder->write('in-the-way.json', 'new'));
		rmdir($this->dir . '/in-the-way.json');
		$this->assertSame(['.', '..', 'link.json'], scandir($this->dir));
	}

	public function testAWriteSweepsWhatKilledProcessesLeft(): void {
		$now = time();
		$left = ['.client.json.7.new' => $now - 61, '.link.json.1.new' => $now + 61, '.client.json.8.new' => $now - 50, 'my.new' => $now - 61];
		foreach ($left as $name => $time) {
			touch($this->dir . '/' . $name, $time);
		}
		$this->assertSame(['.client.json.7.new', '.client.json.8.new', '.link.json.1.new'], $this->folder->leftovers());
		$this->folder->write('link.json', 'x');
		$this->assertSame(['.', '..', '.client.json.8.new', 'link.json', 'my.new'], scandir($this->dir));
	}

	public function testWaitingForTheLockEnds(): void {
		$held = $this->folder->lock(0);
		$this->assertNull($this->folder->tryLock());
		$this->refuses('state_busy', fn () => $this->folder->lock(0.05));
		$held->release();
		$this->assertNotNull($this->folder->tryLock());
	}

	public function testWaitingForTheLockEndsWhenThereIsNoHopeLeft(): void {
		$held = $this->folder->lock(0);
		$this->expectExceptionMessage('no hope');
		$this->folder->lock(60, static fn (): \Exception => new \Exception('no hope'));
	}

	private function refuses(string $code, callable $work): void {
		try {
			$work();
		} catch (StateError $e) {
			$this->assertSame($code, $e->code());
			return;
		}
		$this->fail('it was not refused');
	}
}

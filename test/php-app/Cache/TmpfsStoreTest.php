<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Cache;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Cache\TmpfsStore;
use PHPUnit\Framework\TestCase;

final class TmpfsStoreTest extends TestCase {
	public function testOnlyTheMountTableMakesAFolderRam(): void {
		$mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /dev tmpfs rw 0 0\n/dev/vdb /dev/shm ext4 rw 0 0\n";
		$this->assertTrue(TmpfsStore::isRamFileSystem('/dev', $mounts));
		$this->assertFalse(TmpfsStore::isRamFileSystem('/', $mounts));
		$this->assertFalse(TmpfsStore::isRamFileSystem('/dev/shm', $mounts));
		$this->assertFalse(TmpfsStore::isRamFileSystem('/usr', $mounts));
		$this->assertFalse(TmpfsStore::isRamFileSystem('/does-not-exist', $mounts));
		$this->assertFalse(TmpfsStore::isRamFileSystem('/dev', ''));
	}

	public function testTheLastMountOnAPointIsTheOneThatIsSeen(): void {
		$this->assertFalse(TmpfsStore::isRamFileSystem('/dev', "tmpfs /dev tmpfs rw 0 0\n/dev/vdb /dev ext4 rw 0 0\n"));
		$this->assertTrue(TmpfsStore::isRamFileSystem('/dev', "/dev/vdb /dev ext4 rw 0 0\ntmpfs /dev tmpfs rw 0 0\n"));
	}

	public function testANameThatOnlyBeginsLikeAMountIsNotInIt(): void {
		$this->assertFalse(TmpfsStore::isRamFileSystem('/usr', "/dev/vda / ext4 rw 0 0\ntmpfs /us tmpfs rw 0 0\n"));
	}

	public function testNowhereWithoutARamFileSystem(): void {
		$this->assertNull(TmpfsStore::find('x', "/dev/vda / ext4 rw 0 0\n"));
	}

	public function testKeepsValuesFromOthersEyes(): void {
		$folder = KeyServer::scratch('tmpfs');
		$store = new TmpfsStore($folder, 'a:');
		$store->set('k', "one\0two", 60);
		$this->assertSame("one\0two", (new TmpfsStore($folder, 'a:'))->get('k'));
		$this->assertNull((new TmpfsStore($folder, 'b:'))->get('k'));
		$path = glob($folder . '/*')[0];
		$this->assertSame(0600, fileperms($path) & 0777);
		chmod($path, 0644);
		$this->assertNull($store->get('k'));
		chmod($path, 0600);
		$store->delete('k');
		$this->assertSame([], glob($folder . '/*'));
	}
}

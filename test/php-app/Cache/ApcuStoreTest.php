<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Cache;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Cache\ApcuStore;
use PHPUnit\Framework\TestCase;

final class ApcuStoreTest extends TestCase {
	private const MOUNTS = "/dev/vda / ext4 rw 0 0\ntmpfs /dev tmpfs rw 0 0\n";

	/** @return array<string, array{string, bool}> */
	public function masks(): array {
		return [
			'a file on a disk' => ['/tmp/apc.XXXXXX', false],
			'a file at the root' => ['/apc.shm.XXXXXX', false],
			'a file in a folder that is not there' => ['/does-not-exist/apc.XXXXXX', false],
			'a file wherever PHP was started' => ['apc.XXXXXX', false],
			'a file on a RAM file system' => ['/dev/apc.XXXXXX', true],
			'anonymous memory' => ['', true],
			'anonymous memory, the old way' => ['/dev/zero', true],
		];
	}

	/** @dataProvider masks */
	public function testOnlyMemoryThatIsNoFileOnADiskIsMemory(string $mask, bool $isMemory): void {
		$this->assertSame($isMemory, ApcuStore::isMemory($mask, self::MOUNTS));
	}

	/** @return array<string, array{list<string>, string}> */
	public function settings(): array {
		return [
			'as PHP comes' => [[], 'usable'],
			'mapped to a file' => [['-d', 'apc.mmap_file_mask=/var/tmp/latchkey-apc.XXXXXX'], 'not usable'],
		];
	}

	/**
	 * @dataProvider settings
	 * @param list<string> $settings
	 */
	public function testAWebServersPhpRefusesAMappedFile(array $settings, string $expected): void {
		if (!extension_loaded('apcu') || ApcuStore::isMemory('/var/tmp/x')) {
			$this->markTestSkipped('needs APCu and a /var/tmp on a disk');
		}
		$folder = KeyServer::scratch('web');
		file_put_contents($folder . '/page.php', '<?php require ' . var_export(dirname(__DIR__, 3) . '/php-app/autoload.php', true)
			. '; echo \OCA\RemoteKeyStorage\Cache\ApcuStore::isUsable() ? "usable" : "not usable";');
		$listener = stream_socket_server('tcp://127.0.0.1:0');
		$address = stream_socket_get_name($listener, false);
		fclose($listener);
		$pipes = [];
		$web = proc_open(
			[PHP_BINARY, '-d', 'apc.enabled=1', ...$settings, '-S', $address, '-t', $folder],
			[['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', '/dev/null', 'w']],
			$pipes
		);
		try {
			for ($i = 0; $i < 100 && ($answer = @file_get_contents('http://' . $address . '/page.php')) === false; $i++) {
				usleep(50000);
			}
		} finally {
			proc_terminate($web, 9);
			proc_close($web);
		}
		$this->assertSame($expected, $answer);
	}
}

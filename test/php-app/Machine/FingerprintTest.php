<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Machine;

use OCA\RemoteKeyStorage\Machine\BootId;
use OCA\RemoteKeyStorage\Machine\Fingerprint;
use PHPUnit\Framework\TestCase;

final class FingerprintTest extends TestCase {
	private string $root;

	protected function setUp(): void {
		$this->root = sys_get_temp_dir() . '/latchkey-test-machine-' . bin2hex(random_bytes(6));
		foreach (['/etc', '/proc', '/sys/class/dmi/id', '/sys/class/net/eth0/device', '/sys/class/net/docker0'] as $folder) {
			mkdir($this->root . $folder, 0700, true);
		}
		$this->put('/etc/machine-id', "abc\n");
		$this->put('/proc/cpuinfo', "processor\t: 0\nmodel name\t: CPU X\n\nprocessor\t: 1\nmodel name\t: CPU X\n");
		$this->put('/sys/class/dmi/id/sys_vendor', "Vendor\n");
		$this->put('/sys/class/net/eth0/address', "02:00:00:00:00:01\n");
		$this->put('/sys/class/net/docker0/address', "02:00:00:00:00:02\n");
	}

	protected function tearDown(): void {
		$files = new \RecursiveIteratorIterator(
			new \RecursiveDirectoryIterator($this->root, \FilesystemIterator::SKIP_DOTS),
			\RecursiveIteratorIterator::CHILD_FIRST
		);
		foreach ($files as $file) {
			$file->isDir() ? rmdir($file->getPathname()) : unlink($file->getPathname());
		}
		rmdir($this->root);
	}

	public function testIsTheDigestOfSortedLines(): void {
		$lines = "cpu.count=2\ncpu.model=CPU X\ndmi.vendor=Vendor\nmac.eth0=02:00:00:00:00:01\nmachine-id=abc\n";
		$this->assertSame(hash('sha256', $lines), (new Fingerprint($this->root))->digest());
	}

	public function testInterfacesThatComeAndGoDoNotCount(): void {
		$before = (new Fingerprint($this->root))->digest();
		$this->put('/sys/class/net/docker0/address', "02:00:00:00:00:03\n");
		$this->assertSame($before, (new Fingerprint($this->root))->digest());
		$this->put('/sys/class/net/eth0/address', "02:00:00:00:00:03\n");
		$this->assertNotSame($before, (new Fingerprint($this->root))->digest());
	}

	public function testNothingReadableIsNull(): void {
		$this->assertNull((new Fingerprint($this->root . '/etc'))->digest());
	}

	public function testThisMachine(): void {
		$this->assertSame(Fingerprint::current(), Fingerprint::current());
		$this->assertTrue(BootId::current() === null || strlen(BootId::current()) === 36);
		$this->assertGreaterThanOrEqual(0, BootId::uptime());
	}

	private function put(string $path, string $text): void {
		file_put_contents($this->root . $path, $text);
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Machine;

use OCA\RemoteKeyStorage\Machine\Swap;
use PHPUnit\Framework\TestCase;

final class SwapTest extends TestCase {
	private const HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
	private string $sys;

	protected function setUp(): void {
		$this->sys = sys_get_temp_dir() . '/latchkey-test-sys-' . bin2hex(random_bytes(6));
		mkdir($this->sys . '/dev/block', 0700, true);
		$this->device('sda2', []);
		$this->device('dm-0', ['dm/uuid' => "CRYPT-LUKS2-00aa-luks\n"], ['sda2']);
		$this->device('dm-1', ['dm/uuid' => "LVM-00bb\n"], ['dm-0']);
		$this->device('dm-2', ['dm/uuid' => "LVM-00cc\n"], ['dm-0', 'sda2']);
		$this->device('zram0', ['backing_dev' => "none\n"]);
		$this->device('zram1', ['backing_dev' => "/dev/sda2\n"]);
		$this->device('zram2', []);
	}

	protected function tearDown(): void {
		$all = new \RecursiveIteratorIterator(
			new \RecursiveDirectoryIterator($this->sys, \FilesystemIterator::SKIP_DOTS | \FilesystemIterator::CURRENT_AS_PATHNAME),
			\RecursiveIteratorIterator::CHILD_FIRST
		);
		foreach ($all as $path) {
			is_dir($path) && !is_link($path) ? rmdir($path) : unlink($path);
		}
		rmdir($this->sys);
	}

	/** @return array<string, array{string, list<string>}> /proc/swaps, what is in clear */
	public function areas(): array {
		return [
			'a partition' => ["/dev/sda2 partition 1048572 0 -2\n", ['/dev/sda2']],
			'one that is unknown' => ["/dev/vdz9 partition 1048572 0 -2\n", ['/dev/vdz9']],
			'partly on an encrypted one' => ["/dev/dm-2 partition 1048572 0 -2\n", ['/dev/dm-2']],
			'compressed memory that spills to a disk' => ["/dev/zram1 partition 1048572 0 100\n", ['/dev/zram1']],
			'a file that is not there' => ["/no/swap\\040file file 1048572 0 -2\n", ['/no/swap file']],
			'one of two' => ["/dev/dm-0 partition 1 0 -2\n/dev/sda2 partition 1 0 -3\n", ['/dev/sda2']],
			'none' => ['', []],
			'an encrypted partition' => ["/dev/dm-0 partition 1048572 0 -2\n", []],
			'a volume on an encrypted one' => ["/dev/dm-1 partition 1048572 0 -2\n", []],
			'compressed memory' => ["/dev/zram0 partition 1048572 0 100\n", []],
			'compressed memory that cannot spill' => ["/dev/zram2 partition 1048572 0 100\n", []],
		];
	}

	/**
	 * @dataProvider areas
	 * @param list<string> $inClear
	 */
	public function testInClearNamesWhatEndsOnADiskUnencrypted(string $lines, array $inClear): void {
		$this->assertSame($inClear, Swap::inClear(self::HEAD . $lines, $this->sys));
	}

	public function testASwapFileIsAsSafeAsTheDiskUnderIt(): void {
		$number = trim((string)shell_exec('stat -c %Hd:%Ld ' . escapeshellarg(__FILE__)));
		$swaps = self::HEAD . __FILE__ . " file 1048572 0 -2\n";
		$link = $this->sys . '/dev/block/' . $number;
		symlink($this->sys . '/class/block/dm-1', $link);
		$this->assertSame([], Swap::inClear($swaps, $this->sys));
		unlink($link);
		symlink($this->sys . '/class/block/sda2', $link);
		$this->assertSame([__FILE__], Swap::inClear($swaps, $this->sys));
	}

	public function testAKernelThatDoesNotTellIsNotAccused(): void {
		$this->assertSame([], Swap::inClear('', $this->sys));
	}

	/**
	 * @param array<string, string> $files
	 * @param list<string> $below
	 */
	private function device(string $name, array $files, array $below = []): void {
		$folder = $this->sys . '/class/block/' . $name;
		mkdir($folder . '/dm', 0700, true);
		mkdir($folder . '/slaves');
		foreach ($files as $file => $text) {
			file_put_contents($folder . '/' . $file, $text);
		}
		foreach ($below as $device) {
			symlink($this->sys . '/class/block/' . $device, $folder . '/slaves/' . $device);
		}
	}
}

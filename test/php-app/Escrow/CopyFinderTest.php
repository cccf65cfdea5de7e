<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\CopyFinder;
use PHPUnit\Framework\TestCase;

final class CopyFinderTest extends TestCase {
	private string $scratch;

	protected function setUp(): void {
		$this->scratch = realpath(sys_get_temp_dir()) . '/latchkey-copies-' . bin2hex(random_bytes(6)) . '/srv';
		$this->put('web/config/config.php');
		$this->put('data/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey');
		$this->put('data/files_encryption/OC_DEFAULT_MODULE/master_1.publicKey');
		$this->put('data/files_encryption/keys/files/a/OC_DEFAULT_MODULE/master_1.shareKey');
		mkdir($this->scratch . '/sessions');
	}

	protected function tearDown(): void {
		$files = new \RecursiveIteratorIterator(
			new \RecursiveDirectoryIterator(dirname($this->scratch), \FilesystemIterator::SKIP_DOTS),
			\RecursiveIteratorIterator::CHILD_FIRST,
		);
		foreach ($files as $file) {
			$file->isDir() && !$file->isLink() ? rmdir($file->getPathname()) : unlink($file->getPathname());
		}
		rmdir(dirname($this->scratch));
	}

	private function put(string $path, string $text = 'x'): string {
		$full = $this->scratch . '/' . $path;
		is_dir(dirname($full)) || mkdir(dirname($full), 0700, true);
		file_put_contents($full, $text);
		return $full;
	}

	/** @return array<string, string> path → kind */
	private function found(): array {
		$data = $this->scratch . '/data';
		$found = (new CopyFinder())->find(
			$data,
			$this->scratch . '/web',
			[$data . '/nextcloud.log', $data . '/missing.log'],
			$this->scratch . '/sessions',
			$data . '/files_encryption/OC_DEFAULT_MODULE',
		);
		$list = array_column($found, 'kind', 'path');
		return array_filter($list, fn (string $path): bool => strncmp($path, $this->scratch, strlen($this->scratch)) === 0, ARRAY_FILTER_USE_KEY);
	}

	public function testTheKeyFolderInUseIsNoCopy(): void {
		$this->assertSame([], $this->found());
	}

	/** @return list<array{string}> */
	public function places(): array {
		return [
			['data/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey.restoring'],
			['data/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey.bak'],
			['data/files_encryption/backup/master_1.privateKey'],
			['data/updater-oc1/backups/nextcloud-32/data2/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey'],
			['data/ncp-update-backups/x/data/files_encryption/OC_DEFAULT_MODULE/pubShare_1.privateKey'],
			['data.old/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey'],
			['backup/monday/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey'],
			['web/data/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey'],
		];
	}

	/** @dataProvider places */
	public function testFindsAPrivateKeyElsewhere(string $path): void {
		$this->assertSame([$this->put($path) => 'private_key'], $this->found());
	}

	public function testFindsConfigInUpdaterBackups(): void {
		$this->assertSame([$this->put('data/updater-oc1/backups/nextcloud-32/config/config.php') => 'config_backup'], $this->found());
	}

	public function testFindsAKeyInTheLogAcrossReadBoundaries(): void {
		$log = $this->put('data/nextcloud.log', str_repeat('x', (1 << 20) - 10) . '-----BEGIN PRIVATE KEY-----\nMII');
		$this->assertSame([$log => 'log'], $this->found());
	}

	public function testALogThatOnlySpeaksOfKeysIsNoCopy(): void {
		$this->put('data/nextcloud.log', 'A public master key is available but the private key could not be found');
		$this->assertSame([], $this->found());
	}

	public function testFindsSessions(): void {
		$this->put('sessions/sess_abc');
		$this->assertSame([$this->scratch . '/sessions' => 'sessions'], $this->found());
	}

	public function testFollowsNoLinks(): void {
		$this->put('elsewhere/deep/er/still/files_encryption/OC_DEFAULT_MODULE/master_1.privateKey');
		symlink($this->scratch . '/elsewhere/deep/er/still/files_encryption', $this->scratch . '/data/files_encryption/backup');
		$this->assertSame([], $this->found());
	}
}

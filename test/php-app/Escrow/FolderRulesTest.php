<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Escrow\FolderRules;
use PHPUnit\Framework\TestCase;

final class FolderRulesTest extends TestCase {
	private string $scratch;

	protected function setUp(): void {
		$this->scratch = sys_get_temp_dir() . '/latchkey-rules-' . bin2hex(random_bytes(6));
		foreach (['', '/web', '/web/state', '/web/state/deeper', '/web2', '/state'] as $folder) {
			mkdir($this->scratch . $folder, 0700);
		}
		symlink($this->scratch . '/web/state', $this->scratch . '/link');
	}

	protected function tearDown(): void {
		unlink($this->scratch . '/link');
		foreach (['/web/state/deeper', '/web/state', '/web', '/web2', '/state', ''] as $folder) {
			rmdir($this->scratch . $folder);
		}
	}

	private function reason(string $dir, string $reserved = ''): string {
		try {
			FolderRules::assertAllowed($dir, [$this->scratch . '/web'], $reserved);
			return '';
		} catch (Failure $failure) {
			return $failure->reason();
		}
	}

	public function testRefusesRelativeAndDottedPaths(): void {
		foreach (['', 'state', './state', $this->scratch . '/web2/../web', $this->scratch . '/./state'] as $dir) {
			$this->assertSame('folder_refused', $this->reason($dir), $dir);
		}
	}

	public function testRefusesTheWebRootAndWhatIsInIt(): void {
		$this->assertSame('folder_refused', $this->reason($this->scratch . '/web'));
		$this->assertSame('folder_refused', $this->reason($this->scratch . '/web/state'));
	}

	public function testRefusesALinkIntoTheWebRoot(): void {
		$this->assertSame('folder_refused', $this->reason($this->scratch . '/link'));
	}

	public function testRefusesAFolderThatIsNotThere(): void {
		$this->assertSame('folder_missing', $this->reason($this->scratch . '/nowhere'));
	}

	public function testARefusedFolderReservesNothingBelowOrBesideTheOneItReserves(): void {
		$reserved = $this->scratch . '/web/state';
		foreach (['/web', '/web/state/deeper'] as $folder) {
			$this->assertSame('folder_refused', $this->reason($this->scratch . $folder, $reserved), $folder);
		}
		$this->assertSame('folder_refused', $this->reason($reserved, $this->scratch . '/state'));
		$this->assertSame('folder_refused', $this->reason($reserved . '/deeper', $reserved . '/deeper'));
	}

	public function testAllowsTheOneThatIsReserved(): void {
		$this->assertSame('', $this->reason($this->scratch . '/web/state', $this->scratch . '/web/state'));
	}

	public function testAllowsOthersAlsoWhenTheirNamesBeginAlike(): void {
		$this->assertSame('', $this->reason($this->scratch . '/state'));
		$this->assertSame('', $this->reason($this->scratch . '/web2'));
	}
}

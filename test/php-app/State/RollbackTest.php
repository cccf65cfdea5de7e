<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\State\Rollback;
use OCA\RemoteKeyStorage\State\StateFolder;
use PHPUnit\Framework\TestCase;

final class RollbackTest extends TestCase {
	private StateFolder $folder;
	private Rollback $rollback;

	protected function setUp(): void {
		$this->folder = new StateFolder(KeyServer::scratch('state'));
		$this->rollback = new Rollback($this->folder);
	}

	/** @return array{seq: int, head: string} */
	private static function head(int $seq, string $digit = 'a'): array {
		return ['seq' => $seq, 'head' => str_repeat($digit, 64)];
	}

	/** @return list<array{array{seq: int, head: string}|null, array{seq: int, head: string}, bool}> */
	public function heads(): array {
		return [
			[null, self::head(1), false],
			[self::head(5), self::head(5), false],
			[self::head(5), self::head(6, 'b'), false],
			[self::head(5), self::head(4), true],
			[self::head(5), self::head(5, 'b'), true],
		];
	}

	/**
	 * @dataProvider heads
	 * @param array{seq: int, head: string}|null $known
	 * @param array{seq: int, head: string} $told
	 */
	public function testAHeadContradictsWhenItIsOlderOrAnotherOfTheSameNumber(?array $known, array $told, bool $does): void {
		$this->assertSame($does, Rollback::isContradiction($known, $told));
	}

	public function testTheFirstEvidenceIsKept(): void {
		$this->assertNull($this->rollback->suspectedAt());
		$this->rollback->suspect(self::head(9), self::head(2));
		$first = $this->folder->read('rollback.json');
		$this->rollback->suspect(self::head(9), self::head(8));
		$this->assertSame($first, $this->folder->read('rollback.json'));
		$this->assertNotNull($this->rollback->suspectedAt());
	}

	public function testItIsLoggedOnce(): void {
		$lines = [];
		$log = static function (string $text) use (&$lines): void {
			$lines[] = $text;
		};
		$this->rollback->announce($log);
		$this->rollback->suspect(self::head(9), self::head(2, 'b'));
		$this->rollback->announce($log);
		$this->rollback->announce($log);
		$this->assertCount(1, $lines);
		$this->assertStringContainsString('audit record 2 (bbbbbbbbbbbbbbbb)', $lines[0]);
		$this->assertStringContainsString('after 9 (aaaaaaaaaaaaaaaa)', $lines[0]);
	}

	public function testWhatTheHeartbeatScriptWroteIsTakenUp(): void {
		$this->folder->write('rollback.json', '{"version":1,"time":7000,"seen":{"seq":9,"head":"' . str_repeat('a', 64)
			. '"},"told":{"seq":2,"head":"' . str_repeat('b', 64) . "\"}}\n");
		$this->assertSame(7000, $this->rollback->suspectedAt());
	}

	public function testAFileThatCannotBeReadIsNoAllClear(): void {
		$this->folder->write('rollback.json', 'damaged');
		$this->assertSame(0, $this->rollback->suspectedAt());
	}

	public function testItEndsOnlyWhenSomebodySaysSo(): void {
		$this->rollback->suspect(self::head(9), self::head(2));
		$this->rollback->dismiss();
		$this->assertNull($this->rollback->suspectedAt());
		$this->rollback->dismiss();
	}
}

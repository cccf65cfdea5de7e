<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Escrow\NoKeyServer;
use OCA\RemoteKeyStorage\Escrow\Restore;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/PowerCut.php';
require_once __DIR__ . '/World.php';

final class RestoreTest extends TestCase {
	private World $world;

	protected function setUp(): void {
		$this->world = self::moved();
	}

	private static function moved(): World {
		$world = new World();
		$world->server = $world->genuine;
		$world->moved = [World::MASTER, World::SHARE];
		$world->masterKeyId = 'master_1';
		$world->disk = [];
		return $world;
	}

	private function restore(): Restore {
		return new Restore($this->world, $this->world, $this->world->movedKeys(), $this->world);
	}

	/** @param callable(): mixed $work */
	private function assertRefused(string $reason, callable $work): void {
		$disk = $this->world->disk;
		$moved = $this->world->moved;
		try {
			$work();
			$this->fail('not refused');
		} catch (Failure $failure) {
			$this->assertSame($reason, $failure->reason());
		}
		$this->assertSame($disk, $this->world->disk);
		$this->assertSame($moved, $this->world->moved);
	}

	public function testWriteRefusesAKeyOfAnotherInstance(): void {
		$copy = [World::SHARE => 'share blob', World::MASTER => 'another'];
		$this->assertRefused('key_unusable', fn () => $this->restore()->write($copy));
	}

	/** @dataProvider badNames */
	public function testWriteRefusesNamesThatAreNoPrivateKey(string $name): void {
		$this->assertRefused('invalid_request', fn () => $this->restore()->write([$name => 'x']));
	}

	/** @return list<array{string}> */
	public function badNames(): array {
		return [['../master_1.privateKey'], ['master_1.publicKey'], ['.privateKey'], ["master_1.privateKey\n"], ['a/b.privateKey'], ['']];
	}

	public function testWriteRefusesToReplaceOtherBytes(): void {
		$this->world->disk[World::SHARE] = 'something newer';
		$this->assertRefused('key_differs', fn () => $this->restore()->write(null));
	}

	public function testWriteRefusesAnEmptyCopy(): void {
		$this->assertRefused('invalid_request', fn () => $this->restore()->write([]));
	}

	public function testWriteReplacesATornFile(): void {
		$this->world->disk[World::MASTER] = 'torn';
		$this->restore()->write(null);
		$this->assertSame($this->world->genuine, $this->world->disk);
	}

	public function testWriteWorksWithTheOwnersCopyAlone(): void {
		$this->world->reachable = false;
		$this->world->server = [];
		$written = $this->restore()->write($this->world->genuine);
		$this->assertSame([World::MASTER, World::SHARE], $written['written']);
		$this->assertSame([], $written['missing']);
		$this->assertSame($this->world->moved, $this->restore()->finish()['restored']);
		$this->assertNull($this->world->harm());
	}

	public function testWriteWorksWithoutAnEnrolment(): void {
		$this->world->moved = [];
		$restore = new Restore($this->world, new NoKeyServer(), $this->world->movedKeys(), $this->world);
		$this->assertSame([World::MASTER, World::SHARE], $restore->write($this->world->genuine)['written']);
		$this->assertTrue($restore->finish()['decrypt']);
	}

	public function testWriteTellsWhatTheCopyLacks(): void {
		$this->assertSame([World::SHARE], $this->restore()->write([World::MASTER => 'master blob'])['missing']);
	}

	public function testFinishRefusesWhileAKeyIsMissing(): void {
		$this->restore()->write([World::MASTER => 'master blob']);
		$this->assertRefused('keys_missing', fn () => $this->restore()->finish());
	}

	public function testFinishRefusesAKeyThatDoesNotOpen(): void {
		$this->world->disk = $this->world->genuine;
		$this->world->disk[World::MASTER] = 'another';
		$this->assertRefused('key_unusable', fn () => $this->restore()->finish());
	}

	public function testFinishRefusesATornFile(): void {
		$this->world->disk = $this->world->genuine;
		$this->world->disk[World::SHARE] = 'torn';
		$this->assertRefused('keys_missing', fn () => $this->restore()->finish());
	}

	public function testFinishDropsTheCachesWhileItStillKnowsWhichKeysAreInThem(): void {
		$this->restore()->write(null);
		$this->world->steps = [];
		$this->restore()->finish();
		$list = array_search('replace 0', $this->world->steps, true);
		$this->assertIsInt($list);
		$this->assertLessThan($list, array_search('drop caches', $this->world->steps, true));
		$this->assertContains('drop caches', array_slice($this->world->steps, $list));
	}

	public function testFinishAgainFindsTheKeysInUse(): void {
		$this->restore()->write(null);
		$this->restore()->finish();
		$this->assertSame([], $this->restore()->finish()['restored']);
		$this->assertSame([], $this->world->moved);
	}

	public function testNoPowerCutLosesAKey(): void {
		for ($cut = 0;; $cut++) {
			$this->world = self::moved();
			$this->world->cutBefore($cut);
			try {
				$this->restore()->write(null);
				$this->restore()->finish();
				break;
			} catch (PowerCut $gone) {
				$this->assertNull($this->world->harm(), 'cut before step ' . $cut . ' (' . $gone->getMessage() . ')');
			}
			$this->world->revive();
			$this->restore()->write(null);
			$this->restore()->finish();
			$this->assertNull($this->world->harm());
			$this->assertSame($this->world->genuine, $this->world->disk);
		}
		$this->assertGreaterThan(8, $cut);
	}
}

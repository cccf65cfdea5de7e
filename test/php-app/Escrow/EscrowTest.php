<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\Escrow;
use OCA\RemoteKeyStorage\Escrow\Failure;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/PowerCut.php';
require_once __DIR__ . '/World.php';

final class EscrowTest extends TestCase {
	private World $world;

	protected function setUp(): void {
		$this->world = new World();
	}

	private function escrow(): Escrow {
		return new Escrow($this->world, $this->world, $this->world->movedKeys(), $this->world);
	}

	/** @param callable(): mixed $work */
	private function assertRefused(string $reason, callable $work): void {
		$disk = $this->world->disk;
		$server = $this->world->server;
		$moved = $this->world->moved;
		try {
			$work();
			$this->fail('not refused');
		} catch (Failure $failure) {
			$this->assertSame($reason, $failure->reason());
		}
		$this->assertSame($disk, $this->world->disk);
		$this->assertSame($moved, $this->world->moved);
		$this->assertSame($server, $this->world->server);
	}

	public function testStoreRefusesAServerWithoutPrivateKeys(): void {
		$this->world->disk = [];
		$this->assertRefused('no_private_keys', fn () => $this->escrow()->store('grant'));
	}

	public function testStoreRefusesAMasterKeyThatDoesNotOpenHere(): void {
		$this->world->genuine[World::MASTER] = 'another';
		$this->assertRefused('key_unusable', fn () => $this->escrow()->store('grant'));
	}

	public function testStoreRefusesAWrongGrant(): void {
		$this->assertRefused('grant_refused', fn () => $this->escrow()->store('guess'));
	}

	public function testStoreRefusesToGoWithoutAGrant(): void {
		$this->assertRefused('grant_required', fn () => $this->escrow()->store(null));
	}

	public function testStoreRefusesWhenOtherBytesAreStoredAlready(): void {
		$this->world->server[World::MASTER] = 'another';
		$this->assertRefused('key_exists', fn () => $this->escrow()->store('grant'));
	}

	public function testStoreRefusesOtherBytesBehindASpentGrantToo(): void {
		$this->world->server = [World::MASTER => 'another', World::SHARE => 'share blob'];
		$this->assertRefused('key_differs', fn () => $this->escrow()->store(null));
	}

	public function testStoreIsContentWithASpentGrantWhenEverythingHasArrived(): void {
		$this->escrow()->store('grant');
		$this->world->grant = 'another';
		$this->assertSame($this->world->genuine, $this->escrow()->store('grant'));
	}

	public function testStoreChangesNothingOnThisDisk(): void {
		$this->escrow()->store('grant');
		$this->assertSame($this->world->genuine, $this->world->disk);
		$this->assertSame($this->world->genuine, $this->world->server);
		$this->assertSame([], $this->world->moved);
	}

	public function testProveRefusesOtherBytes(): void {
		$this->world->server = [World::MASTER => 'another', World::SHARE => 'share blob'];
		$this->assertRefused('key_differs', fn () => $this->escrow()->prove());
	}

	public function testProveCountsFiles(): void {
		$this->escrow()->store('grant');
		$this->assertSame(['release' => true, 'pair' => true, 'files' => 3], $this->escrow()->prove());
	}

	public function testRemoveRefusesBeforeStore(): void {
		$this->assertRefused('not_found', fn () => $this->escrow()->remove());
	}

	public function testRemoveRefusesWithoutTheHook(): void {
		$this->escrow()->store('grant');
		$this->world->hook = 'off';
		$this->assertRefused('hook_off', fn () => $this->escrow()->remove());
	}

	public function testRemoveRefusesAnUnreachableKeyServer(): void {
		$this->escrow()->store('grant');
		$this->world->reachable = false;
		$this->assertRefused('unreachable', fn () => $this->escrow()->remove());
	}

	public function testRemoveRefusesWhenTheKeyServerHoldsOtherBytes(): void {
		$this->world->server = [World::MASTER => 'master blob', World::SHARE => 'another'];
		$this->assertRefused('key_differs', fn () => $this->escrow()->remove());
	}

	public function testRemoveRefusesWithoutAMasterKey(): void {
		$this->world->disk = [World::SHARE => 'share blob'];
		$this->world->server = [World::SHARE => 'share blob'];
		$this->assertRefused('master_key_missing', fn () => $this->escrow()->remove());
	}

	public function testRemoveRefusesAnUnreadableLocalKey(): void {
		$this->escrow()->store('grant');
		$this->world->disk[World::SHARE] = 'torn';
		$this->assertRefused('local_key_unreadable', fn () => $this->escrow()->remove());
	}

	public function testRemoveKeepsALocalKeyThatChangedAfterTheComparison(): void {
		$this->escrow()->store('grant');
		$this->world->afterMoved = function (): void {
			$this->world->disk[World::SHARE] = 'changed by somebody else';
		};
		try {
			$this->escrow()->remove();
			$this->fail('not refused');
		} catch (Failure $failure) {
			$this->assertSame('key_differs', $failure->reason());
		}
		$this->assertSame([], $this->world->moved);
		$this->assertSame('changed by somebody else', $this->world->disk[World::SHARE]);
		$this->assertSame('master blob', $this->world->disk[World::MASTER]);
	}

	public function testRemovePutsEverythingBackWhenTheLiveProofFails(): void {
		$this->escrow()->store('grant');
		$this->world->liveFails = true;
		$this->assertRefused('proof_failed', fn () => $this->escrow()->remove());
		$this->assertNull($this->world->harm());
	}

	public function testRemoveLeavesNothingHere(): void {
		$this->escrow()->store('grant');
		$this->assertSame([World::MASTER, World::SHARE], $this->escrow()->remove());
		$this->assertSame([], $this->world->disk);
		$this->assertSame([World::MASTER, World::SHARE], $this->world->moved);
		$this->assertSame('master_1', $this->world->masterKeyId);
	}

	public function testRemoveWritesTheListBeforeAnyFileGoes(): void {
		$this->escrow()->store('grant');
		$this->world->steps = [];
		$this->escrow()->remove();
		$list = array_search('replace 2', $this->world->steps, true);
		$this->assertIsInt($list);
		$this->assertLessThan($list, array_search('release', $this->world->steps, true));
		$this->assertGreaterThan($list, array_search('remove ' . World::MASTER, $this->world->steps, true));
		$this->assertGreaterThan($list, array_search('remove ' . World::SHARE, $this->world->steps, true));
	}

	public function testRemoveAgainFindsNothingToDo(): void {
		$this->escrow()->store('grant');
		$this->escrow()->remove();
		$this->assertSame([], $this->escrow()->remove());
	}

	public function testARecoveryKeyMovesWithoutBeingOpened(): void {
		$this->world->disk['recoveryKey_1.privateKey'] = 'recovery blob';
		$this->world->genuine['recoveryKey_1.privateKey'] = 'recovery blob';
		$this->escrow()->store('grant');
		$this->assertContains('recoveryKey_1.privateKey', $this->escrow()->remove());
		$this->assertNull($this->world->harm());
	}

	/** The process dies before each single step in turn; nothing is ever lost and the next run ends well. */
	public function testNoPowerCutLosesAKey(): void {
		for ($cut = 0;; $cut++) {
			$this->world = new World();
			$this->world->cutBefore($cut);
			try {
				$this->escrow()->store('grant');
				$this->escrow()->prove();
				$this->escrow()->remove();
				break;
			} catch (PowerCut $gone) {
				$this->assertNull($this->world->harm(), 'cut before step ' . $cut . ' (' . $gone->getMessage() . ')');
			}
			$this->world->revive();
			$this->escrow()->store('grant');
			$this->assertNull($this->world->harm());
			$this->escrow()->prove();
			$this->escrow()->remove();
			$this->assertNull($this->world->harm());
			$this->assertSame([], $this->world->disk);
		}
		$this->assertGreaterThan(15, $cut);
	}

	/** The same for the undo after a failed proof. */
	public function testNoPowerCutDuringTheUndoLosesAKey(): void {
		for ($cut = 0;; $cut++) {
			$this->world = new World();
			$this->escrow()->store('grant');
			$this->world->steps = [];
			$this->world->liveFails = true;
			$this->world->cutBefore($cut);
			try {
				$this->escrow()->remove();
			} catch (Failure $failure) {
				$this->assertSame('proof_failed', $failure->reason());
				break;
			} catch (PowerCut $gone) {
				$this->assertNull($this->world->harm(), 'cut before step ' . $cut . ' (' . $gone->getMessage() . ')');
			}
		}
		$this->assertNull($this->world->harm());
	}
}

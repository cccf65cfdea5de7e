<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\Adoption;
use PHPUnit\Framework\TestCase;

final class AdoptionTest extends TestCase {
	private const MASTER = 'master_1.privateKey';

	public function testKeysStillHereDoNotMoveByEnrolling(): void {
		$this->assertSame([], Adoption::keys([], [self::MASTER], [self::MASTER]));
	}

	public function testKeysOfALostStateFolderAreFoundAgain(): void {
		$this->assertSame([self::MASTER], Adoption::keys([], [self::MASTER], []));
		$this->assertSame('master_1', Adoption::masterKeyId(null, [self::MASTER]));
	}

	public function testMovedKeysStayMovedWhateverTheServerSays(): void {
		$this->assertSame([self::MASTER], Adoption::keys([self::MASTER], [], []));
		$this->assertSame([self::MASTER], Adoption::keys([self::MASTER], [self::MASTER], [self::MASTER]));
	}

	public function testOtherNamesAreNotTakenOver(): void {
		$this->assertSame([], Adoption::keys([], ['notes.txt', '../x.privateKey', 'master_1.publicKey'], []));
	}

	public function testTwoMasterKeysPinNone(): void {
		$this->assertNull(Adoption::masterKeyId(null, [self::MASTER, 'master_2.privateKey']));
		$this->assertSame('master_1', Adoption::masterKeyId('master_1', ['master_2.privateKey']));
	}
}

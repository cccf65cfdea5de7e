<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\EncryptedHeader;
use OCA\RemoteKeyStorage\Escrow\KeyId;
use OCA\RemoteKeyStorage\Escrow\PairCheck;
use PHPUnit\Framework\TestCase;

final class PairCheckTest extends TestCase {
	/** @return array{string, string} private, public */
	private static function pair(): array {
		$key = openssl_pkey_new(['private_key_bits' => 2048]);
		openssl_pkey_export($key, $private);
		return [$private, openssl_pkey_get_details($key)['key']];
	}

	public function testMatchesOnlyItsOwnPublicHalf(): void {
		[$private, $public] = self::pair();
		[, $other] = self::pair();
		$this->assertTrue(PairCheck::matches($private, $public));
		$this->assertFalse(PairCheck::matches($private, $other));
	}

	public function testRefusesWhatIsNoKey(): void {
		[$private, $public] = self::pair();
		$this->assertFalse(PairCheck::matches('', $public));
		$this->assertFalse(PairCheck::matches('<html>', $public));
		$this->assertFalse(PairCheck::matches($private, ''));
		$this->assertFalse(PairCheck::matches($public, $public));
	}

	public function testHeaderIsParsedExactly(): void {
		$header = str_pad('HBEGIN:oc_encryption_module:OC_DEFAULT_MODULE:cipher:AES-256-CTR:signed:true:HEND', 8192, '-');
		$this->assertSame(
			['oc_encryption_module' => 'OC_DEFAULT_MODULE', 'cipher' => 'AES-256-CTR', 'signed' => 'true'],
			EncryptedHeader::parse($header),
		);
		$this->assertNull(EncryptedHeader::parse(substr($header, 1)));
		$this->assertNull(EncryptedHeader::parse(substr($header, 0, 8191)));
		$this->assertNull(EncryptedHeader::parse(str_pad('HBEGIN:a:b:c:HEND', 8192, '-')));
		$this->assertNull(EncryptedHeader::parse(str_pad('HBEGIN:a:b', 8192, '-')));
		$this->assertNull(EncryptedHeader::parse(str_repeat('x', 8192)));
	}

	public function testKeyIds(): void {
		$this->assertTrue(KeyId::isPrivate('master_1c3e56e0.privateKey'));
		$this->assertFalse(KeyId::isPrivate('master_1c3e56e0.privateKey.restoring'));
		$this->assertFalse(KeyId::isPrivate(str_repeat('a', 118) . '.privateKey'));
		$this->assertSame('master_1.publicKey', KeyId::publicHalf('master_1.privateKey'));
		$this->assertSame('master_1', KeyId::owner('master_1.privateKey'));
	}
}

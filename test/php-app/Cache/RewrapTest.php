<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Cache;

use LatchkeyTest\NextcloudBlob;
use OCA\RemoteKeyStorage\Cache\Rewrap;
use OCA\RemoteKeyStorage\State\StateError;
use PHPUnit\Framework\TestCase;

final class RewrapTest extends TestCase {
	private static string $pem;

	public static function setUpBeforeClass(): void {
		self::$pem = NextcloudBlob::pem();
	}

	/** @return array<string, array{string, bool}> */
	public function formats(): array {
		return ['now' => ['hash2', true], 'before Nextcloud 25' => ['hash', true], 'base64' => ['hash2', false], 'ours' => ['password', true]];
	}

	/** @dataProvider formats */
	public function testOpensWhatNextcloudMade(string $format, bool $binary): void {
		$blob = NextcloudBlob::seal(self::$pem, 'the secret', 'instance', 'master_1', $format, $binary);
		$this->assertSame(self::$pem, (new Rewrap('the secret', 'instance'))->open($blob, 'master_1'));
	}

	public function testTheRewrappedKeyIsTheSameKeyAndCheap(): void {
		$rewrap = new Rewrap('the secret', 'instance');
		$cheap = $rewrap->rewrap(NextcloudBlob::seal(self::$pem, 'the secret', 'instance', 'master_1'), 'master_1');
		$start = microtime(true);
		$this->assertSame(self::$pem, $rewrap->open($cheap, 'master_1'));
		$this->assertLessThan(0.05, microtime(true) - $start);
		$this->assertStringStartsWith('HBEGIN:cipher:AES-256-CTR:keyFormat:password:encoding:binary:HEND', $cheap);
		$this->assertStringNotContainsString('BEGIN PRIVATE', $cheap);
		$this->assertNotSame($cheap, $rewrap->rewrap($cheap, 'master_1'));
	}

	public function testAnotherSecretInstanceOrIdOpensNothing(): void {
		$blob = NextcloudBlob::seal(self::$pem, 'the secret', 'instance', 'master_1');
		foreach ([['another', 'instance', 'master_1'], ['the secret', 'other', 'master_1'], ['the secret', 'instance', '']] as [$secret, $id, $uid]) {
			$this->assertSame('blob_signature', $this->refusal(new Rewrap($secret, $id), $blob, $uid));
		}
	}

	public function testRefusesWhatIsNoBlob(): void {
		$rewrap = new Rewrap('the secret', 'instance');
		$blob = NextcloudBlob::seal(self::$pem, 'the secret', 'instance', 'master_1');
		$notPem = NextcloudBlob::seal('<html></html>', 'the secret', 'instance', 'master_1');
		foreach (['', '<html></html>', self::$pem, substr($blob, 0, -1), $blob . "\n", str_replace('AES-256-CTR', 'AES-256-ECB', $blob), $notPem] as $text) {
			$this->assertSame('blob_format', $this->refusal($rewrap, $text, 'master_1'));
		}
		$blob[200] = $blob[200] === 'a' ? 'b' : 'a';
		$this->assertSame('blob_signature', $this->refusal($rewrap, $blob, 'master_1'));
	}

	private function refusal(Rewrap $rewrap, string $blob, string $uid): string {
		try {
			$rewrap->rewrap($blob, $uid);
		} catch (StateError $e) {
			return $e->code();
		}
		$this->fail('it was opened');
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Session;

use OCA\RemoteKeyStorage\Session\KeylessSession;
use OCP\ISession;
use PHPUnit\Framework\TestCase;

final class KeylessSessionTest extends TestCase {
	private ISession $stored;
	private int $opened = 0;

	protected function setUp(): void {
		$this->stored = new class implements ISession {
			/** @var array<string, mixed> */
			public array $values = [];

			public function set(string $key, $value) {
				$this->values[$key] = $value;
			}

			public function get(string $key) {
				return $this->values[$key] ?? null;
			}

			public function exists(string $key): bool {
				return isset($this->values[$key]);
			}

			public function remove(string $key) {
				unset($this->values[$key]);
			}
		};
	}

	public function testTheKeyNeverReachesTheSession(): void {
		$session = $this->session(true);
		$session->setPrivateKey('KEY');
		$session->prepareDecryptAll('user', 'KEY');
		$this->assertSame(['KEY', 'KEY'], [$session->getPrivateKey(), $session->getDecryptAllKey()]);
		$this->assertStringNotContainsString('KEY', serialize($this->stored->values));
		$this->assertStringNotContainsString('KEY', print_r($session, true));
	}

	public function testItSaysThereIsAKeyWithoutOpeningIt(): void {
		$this->assertTrue($this->session(true)->isPrivateKeySet());
		$this->assertSame(0, $this->opened);
	}

	public function testItOpensTheKeyOnce(): void {
		$session = $this->session(true);
		$this->assertSame(['OPENED', 'OPENED'], [$session->getPrivateKey(), $session->getPrivateKey()]);
		$this->assertSame(1, $this->opened);
		$session->clear();
		$session->getPrivateKey();
		$this->assertSame(2, $this->opened);
	}

	public function testKeysFromBeforeAreTakenOutOfTheSession(): void {
		$this->stored->values = ['privateKey' => 'KEY', 'publicSharePrivateKey' => 'KEY', 'decryptAllKey' => 'KEY', 'loginname' => 'a'];
		$this->session(true)->isPrivateKeySet();
		$this->assertSame(['loginname' => 'a'], $this->stored->values);
	}

	public function testWithLocalKeysItIsNextclouds(): void {
		$session = $this->session(false);
		$this->assertFalse($session->isPrivateKeySet());
		$session->setPrivateKey('KEY');
		$this->assertSame('KEY', $session->getPrivateKey());
		$this->assertSame(['privateKey' => 'KEY'], $this->stored->values);
		$this->assertSame(0, $this->opened);
	}

	private function session(bool $isRemote): KeylessSession {
		return new KeylessSession($this->stored, static fn (): bool => $isRemote, function (): string {
			$this->opened++;
			return 'OPENED';
		});
	}
}

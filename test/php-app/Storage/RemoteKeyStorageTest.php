<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Storage;

use LatchkeyTest\KeyServer;
use LatchkeyTest\NextcloudBlob;
use OC\Encryption\Util;
use OC\Files\View;
use OCA\RemoteKeyStorage\AppInfo\HookState;
use OCA\RemoteKeyStorage\Cache\ProcessStore;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\Storage\LazyKey;
use OCA\RemoteKeyStorage\Storage\MasterKeyGuard;
use OCA\RemoteKeyStorage\Storage\Refusal;
use OCA\RemoteKeyStorage\Storage\RemoteKeyStorage;
use OCP\Encryption\Exceptions\GenericEncryptionException;
use OCP\IConfig;
use OCP\Security\ICrypto;
use PHPUnit\Framework\TestCase;

final class RemoteKeyStorageTest extends TestCase {
	private const MODULE = 'OC_DEFAULT_MODULE';
	private const ID = 'master_1.privateKey';
	private KeyServer $server;
	private string $dir;
	private RemoteKeyStorage $storage;
	private bool $hasEncryptedFiles = false;

	protected function setUp(): void {
		$this->server = new KeyServer();
		$blob = NextcloudBlob::seal(NextcloudBlob::pem(), 'secret', 'instance', 'master_1', 'password');
		$this->dir = $this->server->enrolled([self::ID => $blob]);
		$this->storage = $this->storageOn(Host::at($this->dir, 'secret', 'instance', new ProcessStore()));
		$this->storage->disk = ['master_1.publicKey' => 'public'];
	}

	protected function tearDown(): void {
		$this->server->stop();
		(new \ReflectionClass(HookState::class))->setStaticPropertyValue('failure', null);
	}

	public function testAskingWhetherThereIsAKeyFetchesNone(): void {
		$key = $this->storage->getSystemUserKey(self::ID, self::MODULE);
		$this->assertInstanceOf(LazyKey::class, $key);
		$this->assertFalse(empty($key));
		$this->assertSame([], $this->server->requests('POST /v1/open'));
		$this->assertStringStartsWith('HBEGIN:', (string)$key);
		$this->assertCount(1, $this->server->requests('POST /v1/release'));
	}

	public function testALazyKeyIsNotStored(): void {
		$this->expectException(\LogicException::class);
		serialize($this->storage->getSystemUserKey(self::ID, self::MODULE));
	}

	/** @return array<string, array{string}> */
	public function guarded(): array {
		return [
			'the private half' => [self::ID],
			'the public half' => ['master_1.publicKey'],
			'another master key' => ['master_2.privateKey'],
			'the public half of another master key' => ['master_2.publicKey'],
		];
	}

	/** @dataProvider guarded */
	public function testRemoteKeysAreNeitherWrittenNorDeletedHere(string $keyId): void {
		foreach (['setSystemUserKey' => [$keyId, 'x', self::MODULE], 'deleteSystemUserKey' => [$keyId, self::MODULE]] as $method => $arguments) {
			try {
				$this->storage->$method(...$arguments);
				$this->fail($method . ' was done');
			} catch (GenericEncryptionException $e) {
				$this->assertSame(['master_1.publicKey' => 'public'], $this->storage->disk);
			}
		}
	}

	public function testOtherKeysAreNextclouds(): void {
		$this->storage->setSystemUserKey('recoveryKey_1.privateKey', 'x', self::MODULE);
		$this->assertSame('x', $this->storage->getSystemUserKey('recoveryKey_1.privateKey', self::MODULE));
		$this->storage->deleteSystemUserKey('recoveryKey_1.privateKey', self::MODULE);
		$this->assertSame(['master_1.publicKey' => 'public'], $this->storage->disk);
	}

	public function testALostMasterKeyIdMakesNoNewKey(): void {
		try {
			$this->storage->getSystemUserKey('master_9.privateKey', self::MODULE);
			$this->fail('it was answered');
		} catch (GenericEncryptionException $e) {
			$this->assertStringContainsString('--value=master_1', Refusal::story($e));
		}
	}

	public function testUnreadableCredentialsAreNotTakenForNone(): void {
		file_put_contents($this->dir . '/client.json', '{');
		$storage = $this->storageOn(Host::at($this->dir));
		$storage->disk = [self::ID => 'a key on this disk'];
		foreach ([
			fn () => $storage->getSystemUserKey(self::ID, self::MODULE),
			fn () => $storage->setSystemUserKey(self::ID, 'x', self::MODULE),
			fn () => $storage->deleteSystemUserKey(self::ID, self::MODULE),
		] as $work) {
			try {
				$work();
				$this->fail('it was done');
			} catch (GenericEncryptionException $e) {
				$this->assertStringContainsString('state_format', $e->getMessage());
			}
		}
		$this->assertSame([self::ID => 'a key on this disk'], $storage->disk);
	}

	public function testALostStateFolderIsNotAnsweredWithNothing(): void {
		$storage = $this->storageOn(Host::at($this->dir . '-gone'));
		$storage->disk = ['master_1.publicKey' => 'public'];
		$this->expectException(GenericEncryptionException::class);
		$storage->getSystemUserKey(self::ID, self::MODULE);
	}

	public function testWithoutEnrolmentEverythingIsNextclouds(): void {
		$storage = $this->storageOn(null);
		$this->assertSame('', $storage->getSystemUserKey(self::ID, self::MODULE));
		$storage->setSystemUserKey(self::ID, 'x', self::MODULE);
		$this->assertSame('x', $storage->getSystemUserKey(self::ID, self::MODULE));
		$storage->deleteSystemUserKey(self::ID, self::MODULE);
		$this->assertSame([], $storage->disk);
	}

	public function testKeysMovedAwayMeanwhileAreFound(): void {
		$host = Host::at($this->dir, 'secret', 'instance', new ProcessStore());
		$host->credentials()->withKeys([])->save($host->folder());
		$host->reload();
		$storage = $this->storageOn($host);
		$storage->disk = [self::ID => 'local', 'master_1.publicKey' => 'public'];
		$this->assertSame('local', $storage->getSystemUserKey(self::ID, self::MODULE));
		$other = Host::at($this->dir);
		$other->credentials()->withKeys([self::ID])->save($other->folder());
		unset($storage->disk[self::ID]);
		$this->assertInstanceOf(LazyKey::class, $storage->getSystemUserKey(self::ID, self::MODULE));
	}

	public function testAHookThatIsNotCompleteHandsOutNothing(): void {
		HookState::failed('sessions are not kept free of the key', new \RuntimeException());
		$key = $this->storage->getSystemUserKey(self::ID, self::MODULE);
		try {
			(string)$key;
			$this->fail('it was handed out');
		} catch (GenericEncryptionException $e) {
			$this->assertSame([], $this->server->requests('POST /v1/open'));
		}
	}

	public function testAWebServerNeedsTheSessionGuard(): void {
		$this->assertNull(HookState::risk('cli'));
		$this->assertNotNull(HookState::risk('fpm-fcgi'));
		$this->assertNotNull(HookState::risk('cli-server'));
	}

	public function testEscrowAndRestoreReachTheDisk(): void {
		$this->storage->writeLocalSystemUserKey(self::ID, 'back', self::MODULE);
		$this->assertSame('back', $this->storage->localSystemUserKey(self::ID, self::MODULE));
		$this->storage->deleteLocalSystemUserKey(self::ID, self::MODULE);
		$this->assertSame('', $this->storage->localSystemUserKey(self::ID, self::MODULE));
	}

	/** @return array<string, array{array<string, string>, string}> the disk before, the id Nextcloud makes up */
	public function losses(): array {
		$orphan = ['master_1.publicKey' => 'public'];
		return [
			'the database value is lost' => [$orphan, 'master_9'],
			'the public half reads as nothing' => [['master_1.publicKey' => ''], 'master_1'],
			'and there was another before' => [$orphan + ['master_0.publicKey' => 'x', 'master_0.privateKey' => 'x'], 'master_9'],
		];
	}

	/**
	 * @dataProvider losses
	 * @param array<string, string> $disk
	 */
	public function testWithTheStateFolderLostNoSecondMasterKeyIsMade(array $disk, string $id): void {
		$this->assertNoMasterKeyIsMade(Host::at($this->dir . '-gone'), $disk, $id);
	}

	/**
	 * @dataProvider losses
	 * @param array<string, string> $disk
	 */
	public function testWithAnOlderConfigPhpNoSecondMasterKeyIsMade(array $disk, string $id): void {
		$this->assertNoMasterKeyIsMade(null, $disk, $id);
	}

	public function testAHostWithAStateFolderMakesNoSecondMasterKeyBesideAWholeOne(): void {
		$this->assertNoMasterKeyIsMade(
			Host::at($this->dir . '-gone'),
			['master_1.publicKey' => 'public', self::ID => 'private'],
			'master_9'
		);
	}

	public function testAHostWithAStateFolderMakesNoMasterKeyWhereFilesAreEncrypted(): void {
		$this->hasEncryptedFiles = true;
		$this->assertNoMasterKeyIsMade(Host::at($this->dir . '-gone'), [], 'master_9');
	}

	public function testAMovedMasterKeyIsPinnedWithoutBeingNamed(): void {
		$host = Host::at($this->dir, 'secret', 'instance', new ProcessStore());
		$host->credentials()->withMasterKeyId(null)->save($host->folder());
		$this->assertNoMasterKeyIsMade($host, [], 'master_9');
	}

	public function testKeysMovedAwayMeanwhileAreNotWritten(): void {
		$host = Host::at($this->dir, 'secret', 'instance', new ProcessStore());
		$host->credentials()->withKeys([])->save($host->folder());
		$host->reload();
		$storage = $this->storageOn($host);
		$this->assertSame('', $storage->getSystemUserKey(self::ID, self::MODULE));
		$other = Host::at($this->dir);
		$other->credentials()->withKeys([self::ID])->save($other->folder());
		$this->expectException(GenericEncryptionException::class);
		$storage->setSystemUserKey(self::ID, 'x', self::MODULE);
	}

	/** @return array<string, array{bool, array<string, string>}> is a state folder named, the disk before */
	public function beginnings(): array {
		$reinstalled = ['master_1.publicKey' => 'public', self::ID => 'private', 'pubShare_1.publicKey' => 'x'];
		return [
			'a new server' => [false, []],
			'a new server over an old key folder' => [false, $reinstalled],
			'a new server whose enrolment has begun' => [true, ['pubShare_1.publicKey' => 'x']],
		];
	}

	/**
	 * @dataProvider beginnings
	 * @param array<string, string> $disk
	 */
	public function testAFirstMasterKeyIsMade(bool $isKnown, array $disk): void {
		// files from before master-key mode
		$this->hasEncryptedFiles = !$isKnown;
		$storage = $this->storageOn($isKnown ? Host::at($this->dir . '-gone') : null);
		$storage->disk = $disk;
		$this->generate($storage, 'master_9');
		$this->assertSame($disk + ['master_9.publicKey' => 'new', 'master_9.privateKey' => 'new'], $storage->disk);
	}

	/** @param array<string, string> $disk */
	private function assertNoMasterKeyIsMade(?Host $host, array $disk, string $id): void {
		$storage = $this->storageOn($host);
		$storage->disk = $disk;
		try {
			$this->generate($storage, $id);
			$this->fail('it was made');
		} catch (GenericEncryptionException $e) {
			$this->assertSame($disk, $storage->disk);
			$this->assertStringContainsString('[refused]', $e->getMessage());
		}
	}

	/** As KeyManager::validateMasterKey() does. */
	private function generate(RemoteKeyStorage $storage, string $id): void {
		$halves = [];
		foreach (['publicKey', 'privateKey'] as $half) {
			$halves[] = $storage->getSystemUserKey($id . '.' . $half, self::MODULE);
		}
		$this->assertSame(['', ''], $halves);
		$storage->setSystemUserKey($id . '.publicKey', 'new', self::MODULE);
		$storage->setSystemUserKey($id . '.privateKey', 'new', self::MODULE);
	}

	private function storageOn(?Host $host): RemoteKeyStorage {
		$storage = null;
		$guard = new MasterKeyGuard(
			static function () use (&$storage): array {
				return array_keys($storage->disk);
			},
			fn (): bool => $this->hasEncryptedFiles
		);
		return $storage = new RemoteKeyStorage(
			$this->createStub(View::class),
			$this->createStub(Util::class),
			$this->createStub(ICrypto::class),
			$this->createStub(IConfig::class),
			$guard,
			$host
		);
	}
}

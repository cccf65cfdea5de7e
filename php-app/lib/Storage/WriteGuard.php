<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OC\Files\Filesystem;
use OC\Files\Storage\Wrapper\Wrapper;
use OCP\Encryption\Exceptions\GenericEncryptionException;
use OCP\Encryption\Keys\IStorage;
use OCP\IConfig;
use OCP\Util;
use Psr\Container\ContainerInterface;

/**
 * Stands outside of Nextcloud's encryption and asks for the key before an encrypted file is overwritten. Nextcloud
 * empties the file first and asks for the key then: while there is none, the old content would be gone and the new one
 * refused.
 */
class WriteGuard extends Wrapper {
	/** Nextcloud's encryption is wrapped around a storage with priority 2; lower stands further out. */
	private const PRIORITY = 1;

	/** @var (callable(): void)|null */
	private $assertKey = null;

	/** From register(): storages are wrapped when Nextcloud sets them up, later in the same request. */
	public static function install(ContainerInterface $server): void {
		$guard = new class ($server) {
			private ContainerInterface $server;

			public function __construct(ContainerInterface $server) {
				$this->server = $server;
			}

			public function wrapStorages(): void {
				$server = $this->server;
				Filesystem::addStorageWrapper(
					'remotekeystorage_write_guard',
					static function (string $mountPoint, $storage) use ($server) {
						$guarded = new WriteGuard(['storage' => $storage]);
						$guarded->askFirst(static fn () => WriteGuard::assertMasterKey($server));
						return $guarded;
					},
					WriteGuard::priority()
				);
			}
		};
		Util::connectHook('OC_Filesystem', 'preSetup', $guard, 'wrapStorages');
	}

	public static function priority(): int {
		return self::PRIORITY;
	}

	/** @throws GenericEncryptionException WebDAV answers 503 */
	public static function assertMasterKey(ContainerInterface $server): void {
		$masterKeyId = $server->get(IConfig::class)->getAppValue('encryption', 'masterKeyId');
		if ($masterKeyId === '') {
			return;
		}
		$key = (string)$server->get(IStorage::class)->getSystemUserKey($masterKeyId . '.privateKey', KeyFolder::MODULE);
		if ($key === '') {
			throw new GenericEncryptionException('there is no private master key', 'There is no private master key');
		}
	}

	/** @param callable(): void $assertKey throws when there is no key */
	public function askFirst(callable $assertKey): void {
		$this->assertKey = $assertKey;
	}

	public function fopen($path, $mode) {
		if (strncmp((string)$mode, 'w', 1) === 0) {
			$this->beforeOverwriting((string)$path);
		}
		return parent::fopen($path, $mode);
	}

	// phpcs:ignore PSR1.Methods.CamelCapsMethodName -- the parent's name
	public function file_put_contents($path, $data): int|float|false {
		$this->beforeOverwriting((string)$path);
		return parent::file_put_contents($path, $data);
	}

	public function writeStream(string $path, $stream, ?int $size = null): int {
		$this->beforeOverwriting($path);
		return parent::writeStream($path, $stream, $size);
	}

	/** A new file needs the public half only, and one that was never encrypted none at all. */
	private function beforeOverwriting(string $path): void {
		if ($this->assertKey === null) {
			return;
		}
		$entry = $this->getCache()->get($path);
		if ($entry !== false && $entry->isEncrypted() && $entry->getSize() > 0) {
			($this->assertKey)();
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OC\Encryption\Keys\Storage;
use OC\Encryption\Util;
use OC\Files\View;
use OCA\RemoteKeyStorage\Storage\KeyFolder;
use OCP\IConfig;
use OCP\IGroupManager;
use OCP\IUserManager;
use OCP\Security\ICrypto;

/**
 * Nextcloud's own key folder, through its own key storage and never through the hook.
 *
 * The stock storage writes in place and syncs nothing. A key that must not be lost is therefore written under a name
 * Nextcloud does not know, synced, and renamed; the stored form does not depend on the name.
 */
final class StockKeys implements KeysOnDisk {
	private const UNFINISHED = '.restoring';

	private IConfig $config;
	private IUserManager $users;
	private IGroupManager $groups;
	private ICrypto $crypto;

	public function __construct(IConfig $config, IUserManager $users, IGroupManager $groups, ICrypto $crypto) {
		$this->config = $config;
		$this->users = $users;
		$this->groups = $groups;
		$this->crypto = $crypto;
	}

	public function ids(): array {
		$ids = array_values(array_filter($this->keyFolder()->names(), [KeyId::class, 'isPrivate']));
		sort($ids);
		return $ids;
	}

	public function read(string $id): ?string {
		if (!$this->view()->file_exists($this->path($id))) {
			return null;
		}
		try {
			$blob = $this->storage()->getSystemUserKey($id, KeyFolder::MODULE);
		} catch (\Throwable $error) {
			$blob = '';
		}
		if (!is_string($blob) || $blob === '') {
			throw new Failure(
				'local_key_unreadable',
				$id . ' in files_encryption cannot be read',
				'it is empty, damaged, of another instance, or not readable for this user',
			);
		}
		return $blob;
	}

	public function write(string $id, #[\SensitiveParameter] string $blob): void {
		KeyId::assertPrivate($id);
		$unfinished = $id . self::UNFINISHED;
		$done = false;
		try {
			$done = $this->storage()->setSystemUserKey($unfinished, $blob, KeyFolder::MODULE)
				&& $this->sync($this->path($unfinished))
				&& $this->storage()->getSystemUserKey($unfinished, KeyFolder::MODULE) === $blob
				&& $this->view()->rename($this->path($unfinished), $this->path($id));
		} catch (\Throwable $error) {
			$done = false;
		}
		if (!$done || !$this->sync($this->folder())) {
			throw new Failure(
				'local_key_not_written',
				$id . ' could not be written to files_encryption',
				'see that the disk is not full and the folder belongs to the web server\'s user',
			);
		}
	}

	public function remove(string $id): void {
		KeyId::assertPrivate($id);
		$view = $this->view();
		foreach ([$id . self::UNFINISHED, $id] as $name) {
			try {
				$gone = !$view->file_exists($this->path($name)) || $view->unlink($this->path($name));
			} catch (\Throwable $error) {
				$gone = false;
			}
			if (!$gone || $view->file_exists($this->path($name))) {
				throw new Failure('local_key_not_removed', $name . ' could not be deleted', 'see the rights of files_encryption');
			}
		}
		if (!$this->sync($this->folder())) {
			throw new Failure('local_key_not_removed', 'the key folder could not be synced to the disk');
		}
	}

	public function publicHalf(string $id): ?string {
		try {
			$pem = $this->storage()->getSystemUserKey(KeyId::publicHalf($id), KeyFolder::MODULE);
		} catch (\Throwable $error) {
			return null;
		}
		return is_string($pem) && $pem !== '' ? $pem : null;
	}

	/** Key folder on a local disk, null when Nextcloud keeps it in an object store. */
	public function localFolder(): ?string {
		$local = $this->view()->is_dir($this->folder()) ? $this->view()->getLocalFile($this->folder()) : false;
		return is_string($local) && is_dir($local) ? rtrim($local, '/') : null;
	}

	/** True when the path is on stable storage, or on one that has no notion of it (object stores). */
	private function sync(string $path): bool {
		if ($this->localFolder() === null || !function_exists('fsync')) {
			return true;
		}
		$local = $this->view()->getLocalFile($path);
		$handle = is_string($local) ? @fopen($local, 'r') : false;
		if ($handle === false) {
			return false;
		}
		$synced = fsync($handle);
		fclose($handle);
		return $synced;
	}

	private function folder(): string {
		return $this->keyFolder()->path();
	}

	private function keyFolder(): KeyFolder {
		return new KeyFolder($this->view(), $this->util());
	}

	private function path(string $name): string {
		return $this->folder() . '/' . $name;
	}

	private function view(): View {
		return new View();
	}

	private function util(): Util {
		return new Util($this->view(), $this->users, $this->groups, $this->config);
	}

	/** A new one each time: the stock storage remembers what it has read. */
	private function storage(): Storage {
		return new Storage($this->view(), $this->util(), $this->crypto, $this->config);
	}
}

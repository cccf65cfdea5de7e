<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * The folder that holds client.json, ca.pem, link.json, purge, releases.json, breaker.json, heartbeat.json, rollback.json
 * and lock: mode 0700, files 0600, owned by the user PHP runs as. Nothing in it is a key.
 */
class StateFolder {
	private const LOCK_POLL_MICROSECONDS = 10000;
	private const TEMPORARY = '/\A\..+\.new\z/';
	/** Far longer than a write takes. Process ids tell nothing: web server and cron may be in containers of their own. */
	private const TEMPORARY_SECONDS = 60;

	private string $path;

	/** @param string $path absolute */
	public function __construct(string $path) {
		$this->path = rtrim($path, '/');
	}

	public function path(): string {
		return $this->path;
	}

	/** Absolute path of a file in the folder; the name is one of ours, never input. */
	public function file(string $name): string {
		return $this->path . '/' . $name;
	}

	/**
	 * @throws StateError state_missing, state_mode or state_owner: not a directory, group/other bits set, or of another user
	 */
	public function assertUsable(): void {
		clearstatcache(true, $this->path);
		if (!is_dir($this->path)) {
			throw new StateError(
				'state_missing',
				'the state folder ' . $this->path . ' is not there',
				'create it with mode 0700 for the user PHP runs as, or correct "remotekeystorage.dir" in config.php'
			);
		}
		self::assertPrivate($this->path, 'the state folder ' . $this->path, '0700');
	}

	/**
	 * @return string|null null when the file is not there
	 * @throws StateError when it is there but has group/other bits, another owner, or cannot be read
	 */
	public function read(string $name): ?string {
		$path = $this->file($name);
		clearstatcache(true, $path);
		if (!file_exists($path)) {
			// a folder that cannot be looked into must not pass for an empty one
			if (!is_link($path) && is_dir($this->path) && !is_executable($this->path)) {
				throw new StateError('state_owner', 'the state folder ' . $this->path . ' cannot be entered', $this->ownerHint());
			}
			return null;
		}
		self::assertPrivate($path, $name . ' in the state folder', '0600');
		$bytes = @file_get_contents($path);
		if ($bytes === false) {
			throw new StateError('state_owner', $name . ' in the state folder cannot be read', $this->ownerHint());
		}
		return $bytes;
	}

	/**
	 * Replace a file so that a crash leaves the old or the new content: temporary name, fsync, rename, fsync of the folder.
	 * (PHP 8.0 has no fsync: there the file is whole after a crash of PHP, but a power cut may bring back the old one.)
	 *
	 * @param bool $durable false leaves out the fsyncs, for files that may be lost (releases.json, breaker.json)
	 * @throws StateError state_write
	 */
	public function write(string $name, #[\SensitiveParameter] string $bytes, bool $durable = true): void {
		$this->sweep();
		$temporary = $this->file('.' . $name . '.' . getmypid() . '.new');
		if (is_link($temporary) || file_exists($temporary)) {
			@unlink($temporary);
		}
		$handle = @fopen($temporary, 'x');
		$written = $handle !== false && @chmod($temporary, 0600)
			&& @fwrite($handle, $bytes) === strlen($bytes) && fflush($handle)
			&& (!$durable || self::sync($handle));
		if ($handle !== false) {
			fclose($handle);
		}
		if (!$written || !@rename($temporary, $this->file($name)) || ($durable && !$this->syncFolder())) {
			@unlink($temporary);
			throw new StateError(
				'state_write',
				$name . ' could not be written to the state folder ' . $this->path,
				'look for a full disk, a read-only mount, or files of another user in it'
			);
		}
	}

	/** Temporary names that killed processes left behind; they may hold credentials. @return list<string> */
	public function leftovers(): array {
		return array_values(preg_grep(self::TEMPORARY, @scandir($this->path) ?: []) ?: []);
	}

	/** Durable; a file that is not there is no error. @throws StateError state_write */
	public function remove(string $name): void {
		$path = $this->file($name);
		clearstatcache(true, $path);
		if ((file_exists($path) || is_link($path)) && (!@unlink($path) || !$this->syncFolder())) {
			throw new StateError('state_write', $name . ' could not be removed from the state folder ' . $this->path);
		}
	}

	/**
	 * The host-wide lock every exchange with the key server holds. Not re-entrant.
	 *
	 * @param callable|null $giveUp asked while waiting; a Throwable it returns is thrown at once
	 * @throws StateError state_busy after $waitSeconds
	 */
	public function lock(float $waitSeconds, ?callable $giveUp = null): StateLock {
		$deadline = microtime(true) + $waitSeconds;
		do {
			$lock = $this->tryLock();
			if ($lock !== null) {
				return $lock;
			}
			$reason = $giveUp === null ? null : $giveUp();
			if ($reason instanceof \Throwable) {
				throw $reason;
			}
			usleep(self::LOCK_POLL_MICROSECONDS);
		} while (microtime(true) < $deadline);
		throw new StateError('state_busy', 'another process of this host is still talking to the key server', 'try again');
	}

	/** @return StateLock|null null when somebody else holds it @throws StateError when it cannot be opened */
	public function tryLock(): ?StateLock {
		$handle = @fopen($this->file('lock'), 'c');
		if ($handle === false) {
			throw new StateError('state_write', 'the lock in the state folder ' . $this->path . ' cannot be opened', $this->ownerHint());
		}
		@chmod($this->file('lock'), 0600);
		if (flock($handle, LOCK_EX | LOCK_NB)) {
			return new StateLock($handle);
		}
		fclose($handle);
		return null;
	}

	private function ownerHint(): string {
		return 'it must belong to the user PHP runs as; run occ and the heartbeat as that user';
	}

	private static function assertPrivate(string $path, string $what, string $mode): void {
		$permissions = fileperms($path);
		if (is_link($path) || $permissions === false || ($permissions & 0077) !== 0) {
			throw new StateError('state_mode', $what . ' must have mode ' . $mode . ' and not be a link', 'chmod ' . $mode . ' ' . $path);
		}
		if (function_exists('posix_geteuid') && fileowner($path) !== posix_geteuid()) {
			throw new StateError(
				'state_owner',
				$what . ' must belong to the user this runs as (uid ' . posix_geteuid() . '), it belongs to uid ' . fileowner($path),
				'run occ and the heartbeat as the owner of config.php'
			);
		}
	}

	private function sweep(): void {
		foreach ($this->leftovers() as $name) {
			$time = @filemtime($this->file($name));
			if ($time !== false && abs(time() - $time) > self::TEMPORARY_SECONDS) {
				@unlink($this->file($name));
			}
		}
	}

	/** @param resource $handle */
	private static function sync($handle): bool {
		return !function_exists('fsync') || fsync($handle);
	}

	private function syncFolder(): bool {
		$handle = @fopen($this->path, 'r');
		if ($handle === false) {
			return false;
		}
		$done = self::sync($handle);
		fclose($handle);
		return $done;
	}
}

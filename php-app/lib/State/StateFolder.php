<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * The folder that holds client.json, ca.pem, link.json, purge, releases.json, breaker.json and lock:
 * mode 0700, files 0600, owned by the user PHP runs as. Nothing in it is a key.
 */
class StateFolder {
	public function __construct(string $path) {
	}

	public function path(): string {
		throw new \LogicException('not built yet');
	}

	/** Absolute path of a file in the folder; the name is one of ours, never input. */
	public function file(string $name): string {
		throw new \LogicException('not built yet');
	}

	/**
	 * @throws StateError state_missing, state_mode or state_owner: not a directory, group/other bits set, or of another user
	 */
	public function assertUsable(): void {
	}

	/**
	 * @return string|null null when the file is not there
	 * @throws StateError when it is there but has group/other bits, another owner, or cannot be read
	 */
	public function read(string $name): ?string {
		throw new \LogicException('not built yet');
	}

	/**
	 * Replace a file so that a crash leaves the old or the new content: temporary name, fsync, rename, fsync of the folder.
	 *
	 * @param bool $durable false leaves out the fsyncs, for files that may be lost (releases.json, breaker.json)
	 * @throws StateError state_write
	 */
	public function write(string $name, #[\SensitiveParameter] string $bytes, bool $durable = true): void {
	}

	/** Durable; a file that is not there is no error. @throws StateError state_write */
	public function remove(string $name): void {
	}

	/**
	 * The host-wide lock every exchange with the key server holds. Not re-entrant.
	 *
	 * @param callable|null $giveUp asked while waiting; a Throwable it returns is thrown at once
	 * @throws StateError state_busy after $waitSeconds
	 */
	public function lock(float $waitSeconds, ?callable $giveUp = null): StateLock {
		throw new \LogicException('not built yet');
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * The file `purge`: raising it empties every cache of this host at once, because each reader compares its stamp with
 * the one that was current when the cache was filled. Web workers, CLI and heartbeat share no memory but share this.
 */
class PurgeMarker {
	private const FILE = 'purge';

	private StateFolder $folder;

	public function __construct(StateFolder $folder) {
		$this->folder = $folder;
	}

	/** What a cache entry remembers of the marker; changes whenever the marker is raised, or touched by hand. */
	public function stamp(): string {
		$path = $this->folder->file(self::FILE);
		clearstatcache(true, $path);
		$stat = @stat($path);
		return $stat === false ? 'none' : $stat['mtime'] . '.' . $stat['ino'] . '.' . $stat['size'];
	}

	/**
	 * Drop every cached key on this host, now.
	 *
	 * @throws StateError state_write
	 */
	public function raise(): void {
		$path = $this->folder->file(self::FILE);
		// it grows by a byte each time: the clock alone cannot tell two raises within a second apart
		if (@file_put_contents($path, '.', FILE_APPEND | LOCK_EX) !== 1) {
			// a full disk still lets a time stamp change
			if (!@touch($path)) {
				throw new StateError('state_write', 'the purge marker could not be written', 'remove cached keys by restarting PHP');
			}
		}
		@chmod($path, 0600);
	}
}

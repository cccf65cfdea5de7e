<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * The file `purge`: raising it empties every cache of this host at once, because each reader compares its stamp with
 * the one that was current when the cache was filled. Web workers, CLI and heartbeat share no memory but share this.
 */
class PurgeMarker {
	public function __construct(StateFolder $folder) {
	}

	/** What a cache entry remembers of the marker; changes whenever the marker is raised. */
	public function stamp(): string {
		throw new \LogicException('not built yet');
	}

	/** Drop every cached key on this host, now. */
	public function raise(): void {
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage;

use OCA\RemoteKeyStorage\Cache\KeyCache;
use OCA\RemoteKeyStorage\Cache\Rewrap;
use OCA\RemoteKeyStorage\State\CircuitBreaker;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\LinkState;
use OCA\RemoteKeyStorage\State\PurgeMarker;
use OCA\RemoteKeyStorage\State\ReleaseLog;
use OCA\RemoteKeyStorage\State\StateFolder;
use OCA\RemoteKeyStorage\Storage\KeySource;
use OCA\RemoteKeyStorage\Wire\ReleaseClient;
use OCP\IConfig;

/**
 * This Nextcloud host as the key server knows it: everything that belongs to one state folder, built on first use.
 * Nothing here needs a booted Nextcloud except fromConfig(); the heartbeat script uses Host::at().
 */
class Host {
	/** The system value of config.php that names the state folder. A path, no secret. */
	public const CONFIG_DIR = 'remotekeystorage.dir';

	/**
	 * @param string $dir state folder, absolute
	 * @param string $secret config.php "secret"; only needed to re-wrap the master key, '' where no key is read
	 * @param string $instanceId config.php "instanceid"
	 */
	public static function at(
		string $dir,
		#[\SensitiveParameter]
		string $secret = '',
		string $instanceId = '',
	): self {
		throw new \LogicException('not built yet');
	}

	/** The host config.php points at; null when "remotekeystorage.dir" is not set. Does not look at the folder yet. */
	public static function fromConfig(IConfig $config): ?self {
		throw new \LogicException('not built yet');
	}

	public function folder(): StateFolder {
		throw new \LogicException('not built yet');
	}

	/**
	 * Parsed client.json, read again on each call of a new process only.
	 *
	 * @return Credentials|null null when there is no client.json: not enrolled
	 * @throws State\StateError when it is there but not usable: mode, owner, format
	 */
	public function credentials(): ?Credentials {
		throw new \LogicException('not built yet');
	}

	/** Forget what was read from client.json in this process, after writing it. */
	public function reload(): void {
	}

	public function links(): LinkState {
		throw new \LogicException('not built yet');
	}

	/** @throws State\StateError when not enrolled */
	public function client(): ReleaseClient {
		throw new \LogicException('not built yet');
	}

	public function cache(): KeyCache {
		throw new \LogicException('not built yet');
	}

	public function breaker(): CircuitBreaker {
		throw new \LogicException('not built yet');
	}

	public function purgeMarker(): PurgeMarker {
		throw new \LogicException('not built yet');
	}

	public function releases(): ReleaseLog {
		throw new \LogicException('not built yet');
	}

	public function rewrap(): Rewrap {
		throw new \LogicException('not built yet');
	}

	/** Where RemoteKeyStorage gets its keys: cache first, then one exchange per host at a time. */
	public function keys(): KeySource {
		throw new \LogicException('not built yet');
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage;

use OCA\RemoteKeyStorage\Cache\KeyCache;
use OCA\RemoteKeyStorage\Cache\RamStore;
use OCA\RemoteKeyStorage\Cache\Rewrap;
use OCA\RemoteKeyStorage\State\CircuitBreaker;
use OCA\RemoteKeyStorage\State\ClientCertificate;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\HeartbeatRecord;
use OCA\RemoteKeyStorage\State\LinkState;
use OCA\RemoteKeyStorage\State\PurgeMarker;
use OCA\RemoteKeyStorage\State\ReleaseLog;
use OCA\RemoteKeyStorage\State\RenewalRecord;
use OCA\RemoteKeyStorage\State\Rollback;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateFolder;
use OCA\RemoteKeyStorage\Storage\KeySource;
use OCA\RemoteKeyStorage\Wire\ReleaseClient;
use OCA\RemoteKeyStorage\Wire\ServerList;
use OCA\RemoteKeyStorage\Wire\WireError;
use OCP\IConfig;

/**
 * This Nextcloud host as the key server knows it: everything that belongs to one state folder, built on first use.
 * Nothing here needs a booted Nextcloud except fromConfig().
 */
class Host {
	/** The system value of config.php that names the state folder. A path, no secret. */
	public const CONFIG_DIR = 'remotekeystorage.dir';

	/** @var array<string, self> */
	private static array $hosts = [];

	private StateFolder $folder;
	private string $secret;
	private string $instanceId;
	private ?Credentials $credentials = null;
	private bool $isLoaded = false;
	private ?KeyCache $cache = null;
	private ?RamStore $store;

	private function __construct(string $dir, #[\SensitiveParameter] string $secret, string $instanceId, ?RamStore $store) {
		$this->folder = new StateFolder($dir);
		$this->secret = $secret;
		$this->instanceId = $instanceId;
		$this->store = $store;
	}

	/**
	 * @param string $dir state folder, absolute
	 * @param string $secret config.php "secret"; only needed to re-wrap the master key, '' where no key is read
	 * @param string $instanceId config.php "instanceid"
	 * @param RamStore|null $store for tests; null takes the best one of this SAPI
	 */
	public static function at(
		string $dir,
		#[\SensitiveParameter]
		string $secret = '',
		string $instanceId = '',
		?RamStore $store = null
	): self {
		return new self($dir, $secret, $instanceId, $store);
	}

	/**
	 * The host config.php points at; null when "remotekeystorage.dir" is not set. Does not look at the folder yet.
	 * The same object each time for the same folder.
	 */
	public static function fromConfig(IConfig $config): ?self {
		$dir = $config->getSystemValue(self::CONFIG_DIR, '');
		if (!is_string($dir) || $dir === '') {
			return null;
		}
		return self::$hosts[$dir] ??= self::at(
			$dir,
			(string)$config->getSystemValue('secret', ''),
			(string)$config->getSystemValue('instanceid', '')
		);
	}

	public function folder(): StateFolder {
		return $this->folder;
	}

	/**
	 * Parsed client.json, read once per process; reload() has it read again.
	 *
	 * @return Credentials|null null when there is no client.json: not enrolled
	 * @throws StateError when it is there but not usable: mode, owner, format
	 */
	public function credentials(): ?Credentials {
		if (!$this->isLoaded) {
			$this->credentials = Credentials::load($this->folder);
			$this->isLoaded = true;
		}
		return $this->credentials;
	}

	/** Forget what was read from client.json in this process, after writing it. */
	public function reload(): void {
		$this->credentials = null;
		$this->isLoaded = false;
	}

	public function links(): LinkState {
		return new LinkState($this->folder);
	}

	/** @throws StateError when not enrolled */
	public function client(): ReleaseClient {
		$credentials = $this->enrolled();
		return $this->clientAt($credentials, new ServerList($credentials->urls(), $this->ram()));
	}

	/** One that asks at this URL alone, whatever client.json names. @throws StateError when not enrolled */
	public function clientOf(string $url): ReleaseClient {
		return $this->clientAt($this->enrolled(), new ServerList([$url]));
	}

	private function clientAt(Credentials $credentials, ServerList $servers): ReleaseClient {
		return new ReleaseClient($this->folder, $credentials, $this->links(), $this->releases(), null, $servers);
	}

	private function enrolled(): Credentials {
		$credentials = $this->credentials();
		if ($credentials === null) {
			throw new StateError('state_missing', 'this host is not enrolled', 'occ remotekey:enroll');
		}
		return $credentials;
	}

	public function cache(): KeyCache {
		return $this->cache ??= new KeyCache(
			$this->ram(),
			$this->purgeMarker(),
			function (): array {
				$credentials = $this->credentials();
				return $credentials === null ? [] : $credentials->keys();
			}
		);
	}

	public function breaker(): CircuitBreaker {
		return new CircuitBreaker($this->folder);
	}

	public function purgeMarker(): PurgeMarker {
		return new PurgeMarker($this->folder);
	}

	public function rollback(): Rollback {
		return new Rollback($this->folder);
	}

	public function heartbeats(): HeartbeatRecord {
		return new HeartbeatRecord($this->folder);
	}

	/** What this host shows the key server. */
	public function certificate(): ClientCertificate {
		return new ClientCertificate($this->folder);
	}

	public function renewals(): RenewalRecord {
		return new RenewalRecord($this->folder);
	}

	public function releases(): ReleaseLog {
		return new ReleaseLog($this->folder);
	}

	public function rewrap(): Rewrap {
		return new Rewrap($this->secret, $this->instanceId);
	}

	/** Where RemoteKeyStorage gets its keys: cache first, then one exchange per host at a time. */
	public function keys(): KeySource {
		return new KeySource($this);
	}

	/**
	 * The master key re-wrapped so that it opens in a millisecond; other keys as they are.
	 *
	 * @throws StateError blob_format or blob_signature when it cannot be this instance's master key
	 */
	public function cheapToOpen(string $keyId, #[\SensitiveParameter] string $bytes): string {
		$credentials = $this->credentials();
		$master = $credentials === null ? null : $credentials->masterKeyId();
		if ($master === null || $keyId !== $master . '.privateKey') {
			return $bytes;
		}
		return $this->rewrap()->rewrap($bytes, $master);
	}

	/**
	 * Prove the newest link to the key server, and do what it says: on "purge" or a denial every cached key on this host
	 * is dropped at once. A good answer lets exchanges be tried again.
	 *
	 * @return array{state: string, policy: array{ttl: int, staleIfError: int}, head: array{seq: int, head: string}} state: ok | purge
	 * @throws WireError
	 * @throws StateError
	 */
	public function heartbeat(): array {
		try {
			$answer = $this->client()->heartbeat();
		} catch (WireError $e) {
			$this->heartbeats()->note($e->code(), (int)(microtime(true) * 1000));
			if ($e->isDenial()) {
				$this->drop();
			}
			throw $e;
		}
		$this->heartbeats()->note($answer['state'], (int)(microtime(true) * 1000));
		if ($answer['state'] === 'purge') {
			$this->drop();
		} else {
			$this->breaker()->heard();
			$this->cache()->sweep();
			$this->tendCertificate();
		}
		return $answer;
	}

	/**
	 * A new certificate now. Whether it worked is kept for the admin page.
	 *
	 * @throws WireError
	 * @throws StateError
	 */
	public function renewCertificate(): void {
		try {
			$this->client()->renewCertificate();
		} catch (WireError | StateError $e) {
			$this->renewals()->failed($e->code(), (int)(microtime(true) * 1000));
			throw $e;
		}
		$this->renewals()->succeeded();
	}

	/** Renews the certificate when it is time; never throws, for who has something else to do. */
	public function tendCertificate(): void {
		$now = (int)(microtime(true) * 1000);
		try {
			if ($this->renewals()->mayTry($now) && $this->certificate()->isDue($now, $this->folder->read('ca.pem') ?? '')) {
				$this->renewCertificate();
			}
		} catch (WireError | StateError $e) {
			// kept by renewCertificate(), told by the admin page and the setup check
		}
	}

	/** Why the key server showed an older audit log is known: what it tells next is the newest. @throws StateError */
	public function dismissRollback(): void {
		$lock = $this->folder->lock(ReleaseClient::LOCK_SECONDS);
		try {
			$this->links()->forgetSeen();
			$this->rollback()->dismiss();
		} finally {
			$lock->release();
		}
	}

	/** Drop every cached key on this host, in every SAPI. @throws StateError state_write */
	public function drop(): void {
		$this->cache()->forget();
		$this->purgeMarker()->raise();
	}

	/** An exchange failed: turn the next ones away for a while; if it was the server's word, drop the keys. */
	public function refused(WireError $error): void {
		$this->breaker()->failed($error);
		if ($error->isDenial()) {
			$this->drop();
		}
	}

	private function ram(): RamStore {
		return $this->store ??= KeyCache::bestStore('latchkey:' . $this->tag() . ':');
	}

	/** Tells instances under one PHP or one user apart. */
	private function tag(): string {
		return substr(hash('sha256', $this->instanceId . "\0" . $this->folder->path()), 0, 16);
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return ['folder' => $this->folder->path()];
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OCA\RemoteKeyStorage\Cache\Entry;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateLock;
use OCA\RemoteKeyStorage\Wire\ReleaseClient;
use OCA\RemoteKeyStorage\Wire\WireError;

/** Answers "the bytes of this remote key, please" from RAM, or by one exchange per host at a time. */
class KeySource {
	private const OUTCOMES = ['approval_pending' => 'held', 'approval_denied' => 'denied', 'not_found' => 'not_found'];

	private Host $host;
	/** @var callable(): int */
	private $clock;

	/** @param (callable(): int)|null $clock ms since 1970 */
	public function __construct(Host $host, ?callable $clock = null) {
		$this->host = $host;
		$this->clock = $clock ?? static fn (): int => (int)(microtime(true) * 1000);
	}

	/**
	 * Bytes that Nextcloud's Crypt can open; the master key re-wrapped.
	 *
	 * @throws \OCP\Encryption\Exceptions\GenericEncryptionException always, never an empty string
	 */
	public function get(string $keyId): string {
		try {
			$entry = $this->host->cache()->read($keyId);
			if ($entry === null) {
				return $this->fill($keyId)->blob();
			}
			if (!$entry->isFresh(($this->clock)())) {
				$entry = $this->renew($keyId, $entry);
			}
			return $entry->blob();
		} catch (WireError | StateError $e) {
			throw Refusal::from($e);
		}
	}

	/**
	 * A real release now, past cache and breaker; a success closes the breaker. Bytes exactly as the server holds them.
	 *
	 * @param list<string> $keyIds
	 * @param string $reason verify | restore | cli:<command>
	 * @return array<string, string>
	 * @throws WireError
	 * @throws StateError
	 */
	public function fresh(array $keyIds, string $reason): array {
		return $this->exchange($keyIds, $reason, null)['keys'];
	}

	/** Nothing in RAM: one process fetches, the others wait for it, but never for a server that has just failed. */
	private function fill(string $keyId): Entry {
		$breaker = $this->host->breaker();
		$refusal = $breaker->refusal();
		if ($refusal !== null) {
			throw $refusal;
		}
		$wait = $breaker->isTrying() ? 0.0 : ReleaseClient::LOCK_SECONDS;
		$lock = $this->host->folder()->lock($wait, static fn (): ?WireError => $breaker->refusal());
		try {
			$entry = $this->host->cache()->read($keyId);
			$refusal = $entry === null ? $breaker->refusal() : null;
			if ($refusal !== null) {
				throw $refusal;
			}
			return $entry ?? $this->fetch($keyId, true, null, $lock);
		} finally {
			$lock->release();
		}
	}

	/** Out of its time to live: whoever gets the lock renews, everybody else goes on with the old value. */
	private function renew(string $keyId, Entry $old): Entry {
		if ($this->host->breaker()->refusal() !== null) {
			return $old;
		}
		$lock = null;
		try {
			$lock = $this->host->folder()->tryLock();
			if ($lock === null) {
				return $old;
			}
			$entry = $this->host->cache()->read($keyId);
			if ($entry !== null && $entry->isFresh(($this->clock)())) {
				return $entry;
			}
			return $this->fetch($keyId, false, $old, $lock);
		} catch (WireError $e) {
			if ($e->isDenial()) {
				throw $e;
			}
			return $old;
		} catch (StateError $e) {
			// a full disk is no reason to take away what is in RAM
			return $old;
		} finally {
			if ($lock !== null) {
				$lock->release();
			}
		}
	}

	private function fetch(string $keyId, bool $cold, ?Entry $old, StateLock $lock): Entry {
		// taken before the exchange: a purge during it must win
		$stamp = $this->host->purgeMarker()->stamp();
		$answer = $this->exchange([$keyId], Reason::of($cold, PHP_SAPI, $_SERVER['argv'] ?? []), $lock);
		$bytes = $answer['keys'][$keyId];
		$digest = hash('sha256', $bytes);
		$entry = new Entry(
			$old !== null && hash_equals($old->digest(), $digest) ? $old->blob() : $this->host->cheapToOpen($keyId, $bytes),
			$digest,
			($this->clock)(),
			$answer['policy']['ttl'],
			$answer['policy']['staleIfError'],
			$stamp
		);
		$this->host->cache()->write($keyId, $entry);
		return $entry;
	}

	/**
	 * @param list<string> $keyIds
	 * @return array{keys: array<string, string>, policy: array{ttl: int, staleIfError: int}}
	 */
	private function exchange(array $keyIds, string $reason, ?StateLock $lock): array {
		$start = microtime(true);
		$outcome = 'unavailable';
		$code = '';
		$approval = '';
		try {
			$answer = $this->host->client()->release($keyIds, $reason, $lock);
			$outcome = 'released';
			$this->host->breaker()->reset();
			return $answer;
		} catch (WireError $e) {
			$code = $e->code();
			$approval = $code === 'approval_pending' ? $e->detail() : '';
			$outcome = $e->isDenial() ? 'denied' : (self::OUTCOMES[$code] ?? 'unavailable');
			$this->host->refused($e);
			throw $e;
		} catch (StateError $e) {
			$code = $e->code();
			throw $e;
		} finally {
			$this->host->releases()->add($reason, $outcome, $code, (int)((microtime(true) - $start) * 1000), $approval);
		}
	}
}

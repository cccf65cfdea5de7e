<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\Rollback;
use OCA\RemoteKeyStorage\Wire\WireError;

/**
 * Where an enrolled host asks its key server, changed without a new enrolment: who it is, its link and its certificate
 * stay. What answers at a URL has to be a key server of the pinned authority that knows this host. A heartbeat finds out:
 * it proves the newest link and moves none, so that asking twice or over several ways is nobody's copy.
 */
final class ServerUrls {
	private const LOCK_SECONDS = 10.0;

	private Host $host;

	/** @param Host $host enrolled */
	public function __construct(Host $host) {
		$this->host = $host;
	}

	/**
	 * @return list<string> in the order they are asked
	 * @throws Failure
	 */
	public function all(): array {
		try {
			return $this->load()->urls();
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
	}

	/**
	 * All or nothing: client.json is as it was unless this returns.
	 *
	 * @param list<string> $urls as UrlList::parse() gives them
	 * @param bool $unchecked takes those that cannot be reached, or cannot serve anybody now; never one that is someone else's
	 * @return list<string> those that did not prove themselves
	 * @throws Failure
	 */
	public function replace(array $urls, bool $unchecked): array {
		$unproved = [];
		try {
			foreach ($urls as $url) {
				if (!$this->proves($url, $unchecked)) {
					$unproved[] = $url;
				}
			}
			$this->save($urls);
			if (count($unproved) < count($urls)) {
				$this->host->breaker()->heard();
			}
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
		return $unproved;
	}

	/** @throws \Throwable */
	private function proves(string $url, bool $unchecked): bool {
		$seen = $this->host->links()->seen();
		try {
			$answer = $this->host->clientOf($url)->heartbeat();
		} catch (WireError $error) {
			if ($unchecked && self::isDown($error)) {
				return false;
			}
			throw new Failure($error->code(), $url . ': ' . $error->getMessage(), self::hint($error), $error);
		}
		if ($answer['state'] === 'purge') {
			$this->host->drop();
			throw new Failure(
				'purge',
				$url . ': the key server told this host to drop its keys',
				'see "keyserver audit tail" for the reason; the URLs are as they were',
			);
		}
		if (Rollback::isContradiction($seen, $answer['head'])) {
			throw new Failure(
				'server_rollback_suspected',
				$url . ': the key server shows an older audit log than was seen before, or another one',
				'if it was restored from a backup, run `occ remotekey:status --dismiss-rollback` and try again; the URLs are as they were',
			);
		}
		return true;
	}

	/** @param list<string> $urls */
	private function save(array $urls): void {
		$lock = $this->host->folder()->lock(self::LOCK_SECONDS);
		try {
			// anew, under the lock: an exchange may have stored new secrets since
			$credentials = $this->load();
			if ($credentials->urls() !== $urls) {
				$credentials->withUrls($urls)->save($this->host->folder());
			}
		} finally {
			$lock->release();
		}
		$this->host->reload();
	}

	private function load(): Credentials {
		$credentials = Credentials::load($this->host->folder());
		if ($credentials === null) {
			throw ClientFile::notEnrolled();
		}
		return $credentials;
	}

	/** It may still be the right one: nothing was said against it. */
	private static function isDown(WireError $error): bool {
		return in_array($error->code(), ['unreachable', 'timeout', 'sealed', 'degraded'], true);
	}

	private static function hint(WireError $error): string {
		if ($error->code() === 'tls_failed') {
			return 'its certificate must be of the authority in ca.pem and name this host; at the key server, "keyserver listen" '
				. 'says which it names; the URLs are as they were';
		}
		return $error->hint() . (self::isDown($error) ? '; where it cannot be up now, add --unchecked' : '')
			. '; the URLs are as they were';
	}
}

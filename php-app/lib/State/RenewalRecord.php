<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/** renewal.json: since when the certificate could not be renewed, and why. Gone once it could. No secrets. */
class RenewalRecord {
	private const FILE = 'renewal.json';
	private const VERSION = 1;
	/** A try costs the key server as much as a release. */
	private const PAUSE_MS = 600000;

	private StateFolder $folder;

	public function __construct(StateFolder $folder) {
		$this->folder = $folder;
	}

	/** Never throws. @param string $code an error code */
	public function failed(string $code, int $nowMs): void {
		$since = $this->last()['since'] ?? $nowMs;
		$record = ['version' => self::VERSION, 'since' => $since, 'time' => $nowMs, 'code' => $code];
		try {
			$this->folder->write(self::FILE, json_encode($record, JSON_THROW_ON_ERROR) . "\n", false);
		} catch (StateError $e) {
			// tried again with the next heartbeat, then
		}
	}

	/** Never throws. */
	public function succeeded(): void {
		try {
			$this->folder->remove(self::FILE);
		} catch (StateError $e) {
			// the page shows an old failure until it can be removed
		}
	}

	/** Has the last failure been long enough ago? */
	public function mayTry(int $nowMs): bool {
		$last = $this->last();
		return $last === null || abs($nowMs - $last['time']) >= self::PAUSE_MS;
	}

	/** @return array{since: int, time: int, code: string}|null ms; null when nothing failed */
	public function last(): ?array {
		try {
			$record = json_decode($this->folder->read(self::FILE) ?? '', true, 3);
		} catch (StateError $e) {
			return null;
		}
		$since = is_array($record) ? $record['since'] ?? null : null;
		$time = is_array($record) ? $record['time'] ?? null : null;
		$code = is_array($record) ? $record['code'] ?? null : null;
		return is_int($since) && is_int($time) && is_string($code) ? ['since' => $since, 'time' => $time, 'code' => $code] : null;
	}
}

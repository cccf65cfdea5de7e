<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * heartbeat.json: how the last heartbeat ended, and when one was last answered well. bin/heartbeat.sh writes it each
 * minute, cron and occ at times. No secrets.
 */
class HeartbeatRecord {
	private const FILE = 'heartbeat.json';
	private const VERSION = 1;

	private StateFolder $folder;

	public function __construct(StateFolder $folder) {
		$this->folder = $folder;
	}

	/** Never throws. @param string $code ok, purge or an error code */
	public function note(string $code, int $nowMs): void {
		$answered = $code === 'ok' ? $nowMs : $this->last()['answered'];
		$record = ['version' => self::VERSION, 'time' => $nowMs, 'code' => $code, 'answered' => $answered];
		try {
			$this->folder->write(self::FILE, json_encode($record, JSON_THROW_ON_ERROR) . "\n", false);
		} catch (StateError $e) {
			// the page shows an older one
		}
	}

	/** @return array{time: int|null, code: string|null, answered: int|null} ms; code: ok, purge or an error code */
	public function last(): array {
		try {
			$record = json_decode($this->folder->read(self::FILE) ?? '', true, 3);
		} catch (StateError $e) {
			$record = null;
		}
		$number = static fn (string $name): ?int => is_array($record) && is_int($record[$name] ?? null) ? $record[$name] : null;
		$code = is_array($record) && is_string($record['code'] ?? null) ? $record['code'] : null;
		return ['time' => $number('time'), 'code' => $code, 'answered' => $number('answered')];
	}
}

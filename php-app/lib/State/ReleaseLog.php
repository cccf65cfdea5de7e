<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/** releases.json: the last 20 exchanges for the admin page. No secrets, no key bytes. */
class ReleaseLog {
	private const FILE = 'releases.json';
	private const KEPT = 20;
	/** What a one-time code forgives; a message's time may be 60 s off. */
	private const CLOCK_MS = 30000;

	private StateFolder $folder;

	public function __construct(StateFolder $folder) {
		$this->folder = $folder;
	}

	/**
	 * Never throws: a full disk must not cost a release that has already happened.
	 *
	 * @param string $outcome released | denied | held | not_found | unavailable
	 * @param string $code "" or the error code
	 * @param string $detail "" or which approval is waited for
	 */
	public function add(string $reason, string $outcome, string $code, int $milliseconds, string $detail = ''): void {
		$log = $this->load();
		array_unshift($log['releases'], [
			'time' => (int)(microtime(true) * 1000),
			'reason' => $reason,
			'outcome' => $outcome,
			'code' => $code,
			'detail' => $detail,
			'ms' => $milliseconds,
			'sapi' => PHP_SAPI,
		]);
		$log['releases'] = array_slice($log['releases'], 0, self::KEPT);
		$this->store($log);
	}

	/**
	 * Never throws.
	 *
	 * @param int $behind ms this host's clock was behind the key server's when that refused it; 0 when it did not refuse
	 */
	public function noteClock(int $behind): void {
		$behind = abs($behind) > self::CLOCK_MS ? $behind : null;
		$log = $this->load();
		if ($log['clock'] !== $behind) {
			$log['clock'] = $behind;
			$this->store($log);
		}
	}

	/** ms this host's clock is behind the key server's (ahead: negative) if that may be why it is refused, else null. */
	public function clockBehind(): ?int {
		return $this->load()['clock'];
	}

	/**
	 * Newest first.
	 *
	 * @return list<array{time: int, reason: string, outcome: string, code: string, detail?: string, ms: int, sapi: string}> time in ms
	 */
	public function recent(): array {
		return $this->load()['releases'];
	}

	/** @return array{releases: list<array<string, mixed>>, clock: int|null} */
	private function load(): array {
		try {
			$log = json_decode($this->folder->read(self::FILE) ?? '', true, 4);
		} catch (StateError $e) {
			$log = null;
		}
		$releases = is_array($log) && is_array($log['releases'] ?? null) ? $log['releases'] : [];
		$clock = is_array($log) && is_int($log['clock'] ?? null) ? $log['clock'] : null;
		return ['releases' => array_values(array_filter($releases, 'is_array')), 'clock' => $clock];
	}

	/** @param array{releases: list<array<string, mixed>>, clock: int|null} $log */
	private function store(array $log): void {
		try {
			$this->folder->write(self::FILE, json_encode($log, JSON_THROW_ON_ERROR) . "\n", false);
		} catch (StateError $e) {
			// the page shows one line less
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/**
 * rollback.json: the key server has told an older head of its audit log than one it told before, or another one under the
 * same number. It was set back to a backup, or is another one, and with it what was revoked or spent since may be good
 * again. Keys go on being asked for; people are told until one of them says that it is explained. bin/heartbeat.sh
 * writes this file too. No secrets.
 */
class Rollback {
	private const FILE = 'rollback.json';
	private const VERSION = 1;

	private StateFolder $folder;

	public function __construct(StateFolder $folder) {
		$this->folder = $folder;
	}

	/**
	 * @param array{seq: int, head: string}|null $known
	 * @param array{seq: int, head: string} $told
	 */
	public static function isContradiction(?array $known, array $told): bool {
		return $known !== null
			&& ($told['seq'] < $known['seq'] || ($told['seq'] === $known['seq'] && !hash_equals($known['head'], $told['head'])));
	}

	/**
	 * The first evidence is kept: later answers only show less of it. Never throws, because the answer is still good.
	 *
	 * @param array{seq: int, head: string} $known
	 * @param array{seq: int, head: string} $told
	 */
	public function suspect(array $known, array $told): void {
		if ($this->load() === null) {
			$now = (int)(microtime(true) * 1000);
			$this->store(['version' => self::VERSION, 'time' => $now, 'seen' => $known, 'told' => $told]);
		}
	}

	/** ms; null when nothing is suspected. */
	public function suspectedAt(): ?int {
		return $this->load()['time'] ?? null;
	}

	/**
	 * Hands a sentence for the log to $log, once for each suspicion.
	 *
	 * @param callable(string): void $log
	 */
	public function announce(callable $log): void {
		$found = $this->load();
		if ($found === null || ($found['logged'] ?? false) === true) {
			return;
		}
		$this->store(['logged' => true] + $found);
		$log(
			'the key server has told audit record ' . $found['told']['seq'] . ' (' . substr($found['told']['head'], 0, 16)
			. ') as its newest, after ' . $found['seen']['seq'] . ' (' . substr($found['seen']['head'], 0, 16)
			. ') before: it may have been restored from a backup (server_rollback_suspected)'
		);
	}

	/** Somebody has found out why. @throws StateError state_write */
	public function dismiss(): void {
		$this->folder->remove(self::FILE);
	}

	/** @return array<string, mixed>|null a file that cannot be read as one still is a suspicion */
	private function load(): ?array {
		try {
			$bytes = $this->folder->read(self::FILE);
		} catch (StateError $e) {
			$bytes = '';
		}
		if ($bytes === null) {
			return null;
		}
		$found = json_decode($bytes, true, 4);
		$unknown = ['seq' => 0, 'head' => ''];
		$found = is_array($found) ? $found : [];
		return [
			'time' => is_int($found['time'] ?? null) ? $found['time'] : 0,
			'seen' => self::head($found['seen'] ?? null) ?? $unknown,
			'told' => self::head($found['told'] ?? null) ?? $unknown,
			'logged' => ($found['logged'] ?? false) === true,
			'version' => self::VERSION,
		];
	}

	/**
	 * @param mixed $head
	 * @return array{seq: int, head: string}|null
	 */
	private static function head($head): ?array {
		return is_array($head) && is_int($head['seq'] ?? null) && is_string($head['head'] ?? null)
			? ['seq' => $head['seq'], 'head' => $head['head']]
			: null;
	}

	/** @param array<string, mixed> $found */
	private function store(array $found): void {
		try {
			$this->folder->write(self::FILE, json_encode($found, JSON_THROW_ON_ERROR) . "\n", false);
		} catch (StateError $e) {
			// the next answer will show it again
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

use OCA\RemoteKeyStorage\Cache\RamStore;

/**
 * The key servers of one enrolment, and in which order they are asked: the one that answered last before the others, those
 * that failed a moment ago behind them. All of them share their state, so any will do. What is remembered lies in RAM and
 * may be lost; it can change the order and nothing else.
 */
class ServerList {
	/** No key id: those end in ".privateKey". */
	private const NAME = 'servers';
	private const MEMORY_SECONDS = 3600;
	/** How long a server that failed waits behind the others: doubled with each failure, up to the second. */
	private const FAILED_SECONDS = [5, 300];

	/** @var list<string> */
	private array $urls;
	private ?RamStore $ram;
	/** @var callable(): int */
	private $clock;

	/**
	 * @param list<string> $urls as the operator ordered them
	 * @param RamStore|null $ram null remembers nothing
	 * @param (callable(): int)|null $clock ms since 1970
	 */
	public function __construct(array $urls, ?RamStore $ram = null, ?callable $clock = null) {
		$this->urls = $urls;
		$this->ram = $ram;
		$this->clock = $clock ?? static fn (): int => (int)(microtime(true) * 1000);
	}

	/** @return list<string> every URL once */
	public function inOrder(): array {
		$memory = $this->load();
		$now = ($this->clock)();
		$rank = static function (string $url) use ($memory, $now): int {
			$until = $memory['failed'][self::key($url)]['until'] ?? 0;
			if ($until > $now && $until - $now <= self::FAILED_SECONDS[1] * 1000) {
				return 2;
			}
			return $memory['good'] === self::key($url) ? 0 : 1;
		};
		$order = $this->urls;
		// stable in PHP 8: within a rank the operator's order stays
		usort($order, static fn (string $a, string $b): int => $rank($a) <=> $rank($b));
		return $order;
	}

	/** It was reached and answered, whatever the answer was. */
	public function answered(string $url): void {
		$memory = $this->load();
		if (count($this->urls) < 2 || ($memory['good'] === self::key($url) && !isset($memory['failed'][self::key($url)]))) {
			return;
		}
		unset($memory['failed'][self::key($url)]);
		$this->save(['good' => self::key($url)] + $memory);
	}

	/** It was not reached, did not prove itself, or cannot serve anybody now. */
	public function failed(string $url): void {
		if (count($this->urls) < 2) {
			return;
		}
		$memory = $this->load();
		$times = min(10, ($memory['failed'][self::key($url)]['times'] ?? 0) + 1);
		$seconds = min(self::FAILED_SECONDS[1], self::FAILED_SECONDS[0] * 2 ** ($times - 1));
		$memory['failed'][self::key($url)] = ['times' => $times, 'until' => ($this->clock)() + $seconds * 1000];
		$this->save($memory);
	}

	private static function key(string $url): string {
		return substr(hash('sha256', $url), 0, 16);
	}

	/** Of another list nothing is remembered: who orders it anew wants the new order. */
	private function list(): string {
		return self::key(implode("\n", $this->urls));
	}

	/** @return array{good: string, failed: array<string, array{times: int, until: int}>} */
	private function load(): array {
		$fields = json_decode($this->ram === null ? '' : $this->ram->get(self::NAME) ?? '', true, 4);
		$memory = ['good' => '', 'failed' => []];
		if (!is_array($fields) || ($fields['list'] ?? null) !== $this->list()) {
			return $memory;
		}
		$memory['good'] = is_string($fields['good'] ?? null) ? $fields['good'] : '';
		foreach (is_array($fields['failed'] ?? null) ? $fields['failed'] : [] as $key => $failure) {
			if (is_array($failure) && is_int($failure['times'] ?? null) && is_int($failure['until'] ?? null)) {
				$memory['failed'][(string)$key] = ['times' => max(0, $failure['times']), 'until' => $failure['until']];
			}
		}
		return $memory;
	}

	/** @param array{good: string, failed: array<string, array{times: int, until: int}>} $memory */
	private function save(array $memory): void {
		if ($this->ram !== null) {
			$this->ram->set(self::NAME, json_encode(['list' => $this->list()] + $memory, JSON_THROW_ON_ERROR), self::MEMORY_SECONDS);
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

use OCA\RemoteKeyStorage\Wire\Link;

/**
 * link.json: where this host stands in the chain. Every write is durable before it returns and must happen under
 * StateFolder::lock(). After a crash at any point the newest stored link is the one to open with.
 */
class LinkState {
	private const FILE = 'link.json';
	private const VERSION = 1;
	/** The server takes no message further than this from its own clock. */
	private const SERVER_WINDOW_MS = 60000;
	/** What has been under way for longer does not reach the server any more: it has ended the connection by then. */
	private const UNDER_WAY_MS = 120000;

	private StateFolder $folder;

	public function __construct(StateFolder $folder) {
		$this->folder = $folder;
	}

	/** First link after enrolment; replaces what was there. Starts the time stamps again. */
	public function start(#[\SensitiveParameter] string $link, int $nowMs): void {
		$this->folder->write(self::FILE, self::initialJson($link, $nowMs));
	}

	/** What start() writes, for who puts a whole folder together under temporary names. */
	public static function initialJson(#[\SensitiveParameter] string $link, int $nowMs): string {
		return self::encode(['current' => $link, 'next' => null, 'time' => $nowMs, 'seen' => null]);
	}

	/** Is there a readable link.json? */
	public function isPresent(): bool {
		try {
			$this->load();
			return true;
		} catch (StateError $e) {
			return false;
		}
	}

	/** Time stamp of the last message sent, ms; null when there is none. */
	public function time(): ?int {
		return $this->isPresent() ? $this->load()['time'] : null;
	}

	/** @return array{seq: int, head: string}|null highest audit head seen */
	public function seen(): ?array {
		return $this->isPresent() ? $this->load()['seen'] : null;
	}

	/**
	 * Stamp a message that is about to be sent: later than every one before it, on disk before it leaves.
	 *
	 * @return array{link: Link, time: int, seen: array{seq: int, head: string}|null} link: the newest stored one
	 * @throws StateError
	 */
	public function stamp(int $nowMs): array {
		$state = $this->load();
		$state['time'] = max($nowMs, $state['time'] + 1);
		$this->store($state);
		return ['link' => Link::parse($state['next'] ?? $state['current']), 'time' => $state['time'], 'seen' => $state['seen']];
	}

	/**
	 * The answer to `open`: keep both links, before the second message goes out.
	 *
	 * @param array{seq: int, head: string} $told
	 * @return int the second message's time stamp
	 * @throws StateError
	 */
	public function keep(Link $opened, Link $next, int $nowMs, array $told): int {
		$state = $this->load();
		if (!hash_equals($state['next'] ?? $state['current'], $opened->text())) {
			throw new StateError('state_format', 'link.json has changed during an exchange');
		}
		$time = max($nowMs, $state['time'] + 1);
		$this->store([
			'current' => $opened->text(),
			'next' => $next->text(),
			'time' => $time,
			'seen' => self::higher($state['seen'], $told),
		]);
		return $time;
	}

	/**
	 * The answer to `release`: the new link is the confirmed one.
	 *
	 * @param array{seq: int, head: string} $told
	 * @throws StateError
	 */
	public function advance(Link $confirmed, array $told): void {
		$state = $this->load();
		if ($state['next'] === null || !hash_equals($state['next'], $confirmed->text())) {
			throw new StateError('state_format', 'link.json has changed during an exchange');
		}
		$this->store([
			'current' => $confirmed->text(),
			'next' => null,
			'time' => $state['time'],
			'seen' => self::higher($state['seen'], $told),
		]);
	}

	/**
	 * An answer that moves no link has told this head of the audit log.
	 *
	 * @param array{seq: int, head: string} $told
	 * @throws StateError
	 */
	public function heard(array $told): void {
		$state = $this->load();
		$seen = self::higher($state['seen'], $told);
		if ($seen !== $state['seen']) {
			$this->store(['seen' => $seen] + $state);
		}
	}

	/** The next head that is told counts as the newest, whatever was seen before. @throws StateError */
	public function forgetSeen(): void {
		$this->store(['seen' => null] + $this->load());
	}

	/**
	 * @param array{seq: int, head: string}|null $known
	 * @param array{seq: int, head: string} $told
	 * @return array{seq: int, head: string}
	 */
	public static function higher(?array $known, array $told): array {
		return $known === null || $told['seq'] > $known['seq'] ? $told : $known;
	}

	/**
	 * The server called a message stale. If that is because our own stamp has run far ahead of its clock (this host's
	 * clock was wrong for a while), the stamps go back, but not as far as to the server's time: a message from the
	 * future may still be under way, and judged after the link it shows was spent it would be a fork. So they go back to
	 * what the server takes when all that was said so far has arrived or never will, and until then nothing is heard.
	 *
	 * @return bool false: the stamps are still too far ahead, so saying it again is of no use now; it is after
	 *     UNDER_WAY_MS at most
	 * @throws StateError
	 */
	public function rebase(int $serverTimeMs): bool {
		$state = $this->load();
		$limit = $serverTimeMs + self::SERVER_WINDOW_MS + self::UNDER_WAY_MS;
		if ($state['time'] > $limit) {
			$this->folder->write(self::FILE, self::encode(['time' => $limit] + $state));
		}
		return $state['time'] < $serverTimeMs + self::SERVER_WINDOW_MS;
	}

	/** @return array{current: string, next: string|null, time: int, seen: array{seq: int, head: string}|null} */
	private function load(): array {
		$bytes = $this->folder->read(self::FILE);
		$fields = $bytes === null ? null : json_decode($bytes, true, 4);
		$hint = 'issue a new code with "keyserver client reset" and enrol again; never copy this file from elsewhere';
		if (!is_array($fields)) {
			throw new StateError('state_missing', 'link.json is not there or not readable', $hint);
		}
		$current = $fields['current'] ?? null;
		$next = $fields['next'] ?? null;
		$time = $fields['time'] ?? null;
		$seen = $fields['seen'] ?? null;
		if (
			($fields['version'] ?? null) !== self::VERSION
			|| !is_string($current) || Link::parse($current) === null
			|| ($next !== null && (!is_string($next) || Link::parse($next) === null))
			|| !is_int($time) || $time < 0
			|| ($seen !== null && (!is_int($seen['seq'] ?? null) || !is_string($seen['head'] ?? null)))
		) {
			throw new StateError('state_format', 'link.json is damaged', $hint);
		}
		return ['current' => $current, 'next' => $next, 'time' => $time, 'seen' => $seen];
	}

	/** @param array{current: string, next: string|null, time: int, seen: array{seq: int, head: string}|null} $state */
	private function store(#[\SensitiveParameter] array $state): void {
		if ($state['time'] < $this->load()['time']) {
			throw new StateError('state_format', 'link.json would go back in time');
		}
		$this->folder->write(self::FILE, self::encode($state));
	}

	/** @param array{current: string, next: string|null, time: int, seen: array{seq: int, head: string}|null} $state */
	private static function encode(#[\SensitiveParameter] array $state): string {
		return json_encode([
			'version' => self::VERSION,
			'current' => $state['current'],
			'next' => $state['next'],
			'time' => $state['time'],
			'seen' => $state['seen'],
		], JSON_THROW_ON_ERROR) . "\n";
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

use OCA\RemoteKeyStorage\Wire\WireError;

/**
 * breaker.json: after a failed exchange nobody on this host tries again for a while, so that no PHP worker waits for a
 * dead key server and no denial is asked for again and again. When the time is up one process may try, the others
 * still turn away.
 */
class CircuitBreaker {
	private const FILE = 'breaker.json';
	private const UNREACHABLE_SECONDS = [5, 60];
	/** A refused client waits longer: the key server counts each failure against it. */
	private const DENIED_SECONDS = [10, 300];
	private const ABOUT_RELEASES = [
		'unauthorized', 'rate_limited', 'approval_pending', 'approval_denied', 'fingerprint_refused', 'outside_hours',
		'stale_message', 'not_found', 'invalid_request',
	];
	/** A person's answer is asked for as often as the key server says, and no less often the longer it takes. */
	private const UNANSWERED_SECONDS = 30;
	private const MOST_SECONDS = 900;

	private StateFolder $folder;
	/** @var callable(): int */
	private $clock;
	/** @var array<string, array{failures: int, until: int, code: string, message: string, detail: string}> per folder, when the disk is full */
	private static array $unwritten = [];

	/** @param (callable(): int)|null $clock ms since 1970 */
	public function __construct(StateFolder $folder, ?callable $clock = null) {
		$this->folder = $folder;
		$this->clock = $clock ?? static fn (): int => (int)(microtime(true) * 1000);
	}

	/**
	 * @return WireError|null the failure that opened it, while it is open; null when an exchange may be tried
	 */
	public function refusal(): ?WireError {
		$state = $this->load();
		$now = ($this->clock)();
		// a clock that was set back must not keep it open for longer than it could ever be
		if ($state === null || $now >= $state['until'] || $state['until'] - $now > self::MOST_SECONDS * 1000) {
			return null;
		}
		$seconds = intdiv($state['until'] - $now + 999, 1000);
		$message = $state['message'] . '; not asked again for ' . $seconds . ' s';
		return new WireError($state['code'], $message, 0, $seconds, $state['detail']);
	}

	/** Did the last exchange fail? Then only one process at a time may try again, and nobody waits for it. */
	public function isTrying(): bool {
		return $this->load() !== null;
	}

	public function failed(WireError $error): void {
		$failures = ($this->load()['failures'] ?? 0) + 1;
		[$first, $most] = $error->isDenial() ? self::DENIED_SECONDS : self::UNREACHABLE_SECONDS;
		$seconds = min($most, $first * 2 ** min($failures - 1, 10));
		if ($error->isUnanswered()) {
			$seconds = $error->retryAfter() ?? self::UNANSWERED_SECONDS;
		}
		$seconds = min(self::MOST_SECONDS, max($seconds, $error->retryAfter() ?? 0));
		$state = [
			'failures' => $failures,
			'until' => ($this->clock)() + $seconds * 1000,
			'code' => $error->code(),
			'message' => $error->getMessage(),
			'detail' => $error->detail(),
		];
		try {
			$this->folder->write(self::FILE, json_encode($state, JSON_THROW_ON_ERROR) . "\n", false);
		} catch (StateError $e) {
			self::$unwritten[$this->folder->path()] = $state;
		}
	}

	/** A heartbeat was answered well. That ends what a heartbeat would have met too, not what is about releases alone. */
	public function heard(): void {
		$state = $this->load();
		if ($state !== null && !in_array($state['code'], self::ABOUT_RELEASES, true)) {
			$this->reset();
		}
	}

	/** After a release that worked, after enrolment, or when an operator has repaired the cause. */
	public function reset(): void {
		unset(self::$unwritten[$this->folder->path()]);
		try {
			if ($this->folder->read(self::FILE) !== null) {
				@unlink($this->folder->file(self::FILE));
			}
		} catch (StateError $e) {
			// it runs out by itself
		}
	}

	/** @return array{open: bool, failures: int, until: int|null, code: string|null, detail: string} until in ms */
	public function state(): array {
		$state = $this->load();
		return [
			'open' => $this->refusal() !== null,
			'failures' => $state['failures'] ?? 0,
			'until' => $state['until'] ?? null,
			'code' => $state['code'] ?? null,
			'detail' => $state['detail'] ?? '',
		];
	}

	/** @return array{failures: int, until: int, code: string, message: string, detail: string}|null */
	private function load(): ?array {
		try {
			$state = json_decode($this->folder->read(self::FILE) ?? '', true, 3);
		} catch (StateError $e) {
			$state = null;
		}
		if (
			is_array($state) && is_int($state['failures'] ?? null) && is_int($state['until'] ?? null)
			&& is_string($state['code'] ?? null) && is_string($state['message'] ?? null)
		) {
			return ['detail' => is_string($state['detail'] ?? null) ? $state['detail'] : ''] + $state;
		}
		return self::$unwritten[$this->folder->path()] ?? null;
	}
}

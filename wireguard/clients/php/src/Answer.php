<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

use LatchkeyHub\Exception\BadAnswer;
use LatchkeyHub\Exception\HubException;

/**
 * A hub's answer: each getter gives a value of its type, or throws BadAnswer naming the field.
 *
 * @internal
 */
final class Answer {
	/** @param array<mixed> $fields */
	private function __construct(
		private readonly string $server,
		public readonly int $status,
		#[\SensitiveParameter]
		private readonly array $fields
	) {
	}

	/** What came back, or what it means. */
	public static function parse(string $server, Call $call): self|HubException {
		$status = $call->status();
		$isProblem = $call->type() === 'application/problem+json';
		// the health of a hub that is degraded comes as 503, and is an answer all the same
		$fits = $isProblem ? $status >= 400 : $call->type() === 'application/json' && in_array($status, [200, 201, 503], true);
		$fields = $fits ? json_decode($call->body(), true, 16) : null;
		if (!is_array($fields)) {
			return new BadAnswer($server . ' answered ' . $status . ', and not as a hub does', 'bad_answer', $status);
		}
		return $isProblem ? Problem::of($server, $status, $fields, $call->retryAfter()) : new self($server, $status, $fields);
	}

	public function text(string $name): string {
		$value = $this->fields[$name] ?? null;
		return is_string($value) && $value !== '' ? $value : throw $this->bad($name);
	}

	public function textOrNull(string $name): ?string {
		return ($this->fields[$name] ?? null) === null ? null : $this->text($name);
	}

	/** @return list<string> */
	public function texts(string $name): array {
		$value = $this->fields[$name] ?? null;
		if (!is_array($value) || array_filter($value, 'is_string') !== $value || !array_is_list($value)) {
			throw $this->bad($name);
		}
		return $value;
	}

	public function whole(string $name): int {
		$value = $this->fields[$name] ?? null;
		return is_int($value) && $value >= 0 ? $value : throw $this->bad($name);
	}

	public function flag(string $name): bool {
		$value = $this->fields[$name] ?? null;
		return is_bool($value) ? $value : throw $this->bad($name);
	}

	public function time(string $name): ?\DateTimeImmutable {
		$text = $this->textOrNull($name);
		if ($text === null) {
			return null;
		}
		$time = \DateTimeImmutable::createFromFormat('Y-m-d\TH:i:s.vp', $text);
		return $time === false ? throw $this->bad($name) : $time;
	}

	/** @return list<self> */
	public function rows(string $name): array {
		$value = $this->fields[$name] ?? null;
		if (!is_array($value) || array_filter($value, 'is_array') !== $value) {
			throw $this->bad($name);
		}
		return array_values(array_map(fn (array $row): self => new self($this->server, $this->status, $row), $value));
	}

	private function bad(string $name): BadAnswer {
		$words = $this->server . ' answered without a "' . $name . '" as hubs have it';
		return new BadAnswer($words, 'bad_answer', $this->status, $name);
	}
}

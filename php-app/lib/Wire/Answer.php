<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** A key server's answer, parsed: each getter gives the value in its exact form or throws bad_answer naming the field. */
class Answer {
	private int $status;
	/** @var array<string, mixed> */
	private array $fields;

	/** @param array<string, mixed> $fields */
	private function __construct(int $status, array $fields) {
		$this->status = $status;
		$this->fields = $fields;
	}

	/**
	 * @param int|null $retryAfter seconds, from the headers
	 * @param int|null $date ms, from the headers
	 * @throws WireError for every status but 200 and 201, with the server's problem code
	 */
	public static function parse(
		int $status,
		string $type,
		#[\SensitiveParameter]
		string $body,
		?int $retryAfter,
		?int $date = null
	): self {
		$isProblem = $status !== 200 && $status !== 201 && $status !== 202;
		$expected = $isProblem ? 'application/problem+json' : 'application/json';
		$fields = strtolower(trim(explode(';', $type)[0])) === $expected ? json_decode($body, true, 16) : null;
		if (!is_array($fields) || ($fields !== [] && isset($fields[0]))) {
			throw new WireError('bad_answer', 'the key server answered ' . $status . ' without a JSON object', $status);
		}
		if ($isProblem || $status === 202) {
			throw self::problem($status, $fields, $retryAfter, $date);
		}
		return new self($status, $fields);
	}

	public function status(): int {
		return $this->status;
	}

	/** A string of 1 to $max printable ASCII characters. */
	public function text(string $name, int $max = 256): string {
		$value = $this->fields[$name] ?? null;
		if (!is_string($value) || preg_match('/\A[\x21-\x7e]{1,' . $max . '}\z/', $value) !== 1) {
			throw $this->bad($name);
		}
		return $value;
	}

	public function link(string $name): Link {
		$value = $this->fields[$name] ?? null;
		$link = is_string($value) ? Link::parse($value) : null;
		if ($link === null) {
			throw $this->bad($name);
		}
		return $link;
	}

	/** A string that may be null or absent, otherwise of at most $max bytes. */
	public function optional(string $name, int $max): ?string {
		$value = $this->fields[$name] ?? null;
		if ($value !== null && (!is_string($value) || $value === '' || strlen($value) > $max)) {
			throw $this->bad($name);
		}
		return $value;
	}

	/** @return array{seq: int, head: string} */
	public function head(): array {
		$head = $this->fields['head'] ?? null;
		$seq = is_array($head) ? $head['seq'] ?? null : null;
		$hash = is_array($head) ? $head['hash'] ?? null : null;
		if (!is_int($seq) || $seq < 0 || !is_string($hash) || preg_match('/\A[0-9a-f]{64}\z/', $hash) !== 1) {
			throw $this->bad('head');
		}
		return ['seq' => $seq, 'head' => $hash];
	}

	/** @return array{ttl: int, staleIfError: int} seconds, at most a week each */
	public function policy(): array {
		$policy = $this->fields['policy'] ?? null;
		$ttl = is_array($policy) ? $policy['ttl'] ?? null : null;
		$stale = is_array($policy) ? $policy['staleIfError'] ?? null : null;
		if (!is_int($ttl) || $ttl < 0 || !is_int($stale) || $stale < 0) {
			throw $this->bad('policy');
		}
		return ['ttl' => min($ttl, 604800), 'staleIfError' => min($stale, 604800)];
	}

	/**
	 * New secrets to store and to use from then on; null, as nearly always, when there are none.
	 *
	 * @return array{token: string|null, totpSecret: string|null}|null
	 */
	public function newSecrets(): ?array {
		$told = $this->fields['rotate'] ?? null;
		if ($told === null) {
			return null;
		}
		$token = is_array($told) ? $told['token'] ?? null : null;
		$secret = is_array($told) ? $told['totpSecret'] ?? null : null;
		$isToken = $token === null || (is_string($token) && Encoding::fromBase64Url($token, 32) !== null);
		$isSecret = $secret === null || (is_string($secret) && Encoding::fromBase32($secret) !== null);
		if (!$isToken || !$isSecret || ($token === null && $secret === null)) {
			throw $this->bad('rotate');
		}
		return ['token' => $token, 'totpSecret' => $secret];
	}

	/**
	 * Exactly the keys asked for, none of them empty.
	 *
	 * @param list<string> $keyIds
	 * @return array<string, string>
	 */
	public function keys(array $keyIds): array {
		$given = $this->fields['keys'] ?? null;
		$keys = [];
		foreach ($keyIds as $keyId) {
			$text = is_array($given) ? $given[$keyId] ?? null : null;
			$bytes = is_string($text) ? Encoding::fromBase64($text) : null;
			if ($bytes === null || $bytes === '') {
				throw $this->bad('keys');
			}
			$keys[$keyId] = $bytes;
		}
		return $keys;
	}

	/** @return list<string> */
	public function keyIds(): array {
		$ids = $this->fields['keys'] ?? [];
		foreach (is_array($ids) ? $ids : [null] as $id) {
			if (!is_string($id) || !self::isKeyId($id)) {
				throw $this->bad('keys');
			}
		}
		return array_values($ids);
	}

	public static function isKeyId(string $id): bool {
		return preg_match('/\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\z/', $id) === 1;
	}

	/** @param array<string, mixed> $fields */
	private static function problem(int $status, array $fields, ?int $retryAfter, ?int $date): WireError {
		$code = $status === 202 ? 'approval_pending' : $fields['code'] ?? null;
		if (!is_string($code) || preg_match('/\A[a-z][a-z0-9_]{1,63}\z/', $code) !== 1) {
			return new WireError('bad_answer', 'the key server answered ' . $status . ' without a problem code', $status);
		}
		$detail = $fields['reason'] ?? $fields['approval'] ?? $fields['field'] ?? '';
		$detail = is_string($detail) && preg_match('/\A[A-Za-z0-9._:-]{1,128}\z/', $detail) === 1 ? $detail : '';
		$wait = $fields['retryAfter'] ?? $retryAfter;
		$time = $fields['serverTime'] ?? $date;
		$message = $code === 'approval_pending'
			? 'the release waits for approval ' . ($detail === '' ? 'by a person' : $detail) . ' on the key server'
			: 'the key server answered ' . $status . ' ' . $code . ($detail === '' ? '' : ' (' . $detail . ')');
		return new WireError(
			$code,
			$message,
			$status,
			is_int($wait) && $wait >= 0 ? $wait : null,
			$detail,
			is_int($time) && $time > 0 ? $time : null
		);
	}

	private function bad(string $field): WireError {
		return new WireError('bad_answer', 'the key server\'s answer has no usable "' . $field . '"', $this->status);
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return ['status' => $this->status];
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

use OCA\RemoteKeyStorage\Wire\Answer;
use OCA\RemoteKeyStorage\Wire\Encoding;
use OCA\RemoteKeyStorage\Wire\Endpoint;

/** What this host holds of its enrolment: client.json. Immutable; with…() gives a changed copy to save(). */
class Credentials {
	private const FILE = 'client.json';
	private const VERSION = 1;

	/** @var list<string> */
	private array $urls;
	private string $clientId;
	private string $token;
	private ?string $totpSecret;
	private ?string $masterKeyId;
	/** @var list<string> */
	private array $keys;

	/**
	 * @param list<string> $urls https://host[:port], tried in order (http:// only for loopback)
	 * @param string $token 43 characters base64url
	 * @param string|null $totpSecret base32
	 * @param string|null $masterKeyId pinned id, e.g. "master_1c3e56e0", without ".privateKey"
	 * @param list<string> $keys ids whose private half lives on the key server only, e.g. "master_1c3e56e0.privateKey"
	 * @throws StateError state_format naming the field
	 */
	public function __construct(
		array $urls,
		string $clientId,
		#[\SensitiveParameter]
		string $token,
		#[\SensitiveParameter]
		?string $totpSecret,
		?string $masterKeyId,
		array $keys
	) {
		self::check($urls !== [] && array_filter($urls, [self::class, 'isUrl']) === $urls && array_values($urls) === $urls, 'urls');
		self::check(preg_match('/\A[\x21-\x7e]{1,128}\z/', $clientId) === 1, 'clientId');
		self::check(Encoding::fromBase64Url($token, 32) !== null, 'token');
		self::check($totpSecret === null || Encoding::fromBase32($totpSecret) !== null, 'totpSecret');
		self::check($masterKeyId === null || preg_match('/\Amaster_[A-Za-z0-9_-]{1,64}\z/', $masterKeyId) === 1, 'masterKeyId');
		self::check(array_filter($keys, [self::class, 'isPrivateKeyId']) === $keys && array_values($keys) === $keys, 'keys');
		$this->urls = $urls;
		$this->clientId = $clientId;
		$this->token = $token;
		$this->totpSecret = $totpSecret;
		$this->masterKeyId = $masterKeyId;
		$this->keys = $keys;
	}

	/**
	 * @return self|null null when there is no client.json
	 * @throws StateError
	 */
	public static function load(StateFolder $folder): ?self {
		$bytes = $folder->read(self::FILE);
		if ($bytes === null) {
			return null;
		}
		$folder->assertUsable();
		$fields = json_decode($bytes, true, 4);
		self::check(is_array($fields), 'it');
		self::check(($fields['version'] ?? null) === self::VERSION, 'version');
		foreach (['urls' => 'array', 'clientId' => 'string', 'token' => 'string', 'keys' => 'array'] as $name => $type) {
			self::check(gettype($fields[$name] ?? null) === $type, $name);
		}
		foreach (['totpSecret', 'masterKeyId'] as $name) {
			self::check(array_key_exists($name, $fields) && ($fields[$name] === null || is_string($fields[$name])), $name);
		}
		return new self(
			$fields['urls'],
			$fields['clientId'],
			$fields['token'],
			$fields['totpSecret'],
			$fields['masterKeyId'],
			$fields['keys']
		);
	}

	/** Durable when it returns. @throws StateError */
	public function save(StateFolder $folder): void {
		$folder->assertUsable();
		$folder->write(self::FILE, $this->toJson());
	}

	/** What save() writes, for who puts a whole folder together under temporary names. */
	public function toJson(): string {
		return json_encode([
			'version' => self::VERSION,
			'urls' => $this->urls,
			'clientId' => $this->clientId,
			'token' => $this->token,
			'totpSecret' => $this->totpSecret,
			'masterKeyId' => $this->masterKeyId,
			'keys' => $this->keys,
		], JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_PRETTY_PRINT) . "\n";
	}

	/** @return list<string> */
	public function urls(): array {
		return $this->urls;
	}

	public function clientId(): string {
		return $this->clientId;
	}

	public function token(): string {
		return $this->token;
	}

	public function totpSecret(): ?string {
		return $this->totpSecret;
	}

	public function masterKeyId(): ?string {
		return $this->masterKeyId;
	}

	/** @return list<string> */
	public function keys(): array {
		return $this->keys;
	}

	public function isRemote(string $keyId): bool {
		return in_array($keyId, $this->keys, true);
	}

	/** @param list<string> $urls */
	public function withUrls(array $urls): self {
		return new self($urls, $this->clientId, $this->token, $this->totpSecret, $this->masterKeyId, $this->keys);
	}

	/** @param list<string> $keys */
	public function withKeys(array $keys): self {
		return new self($this->urls, $this->clientId, $this->token, $this->totpSecret, $this->masterKeyId, $keys);
	}

	public function withMasterKeyId(?string $masterKeyId): self {
		return new self($this->urls, $this->clientId, $this->token, $this->totpSecret, $masterKeyId, $this->keys);
	}

	/** With the secrets that the key server told; null leaves one as it is. */
	public function withSecrets(
		#[\SensitiveParameter]
		?string $token,
		#[\SensitiveParameter]
		?string $totpSecret
	): self {
		$token = $token ?? $this->token;
		return new self($this->urls, $this->clientId, $token, $totpSecret ?? $this->totpSecret, $this->masterKeyId, $this->keys);
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return ['clientId' => $this->clientId, 'keys' => $this->keys];
	}

	/** @param mixed $url */
	private static function isUrl($url): bool {
		return is_string($url) && Endpoint::parse($url) !== null;
	}

	/** @param mixed $id */
	private static function isPrivateKeyId($id): bool {
		return is_string($id) && Answer::isKeyId($id) && substr($id, -11) === '.privateKey';
	}

	private static function check(bool $holds, string $field): void {
		if (!$holds) {
			throw new StateError(
				'state_format',
				'"' . $field . '" in client.json is not as it must be',
				'restore the file from a copy, or enrol this host again'
			);
		}
	}
}

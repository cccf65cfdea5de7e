<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\State;

/** What this host holds of its enrolment: client.json. Immutable; with…() gives a changed copy to save(). */
class Credentials {
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
		array $keys,
	) {
		$this->urls = $urls;
		$this->clientId = $clientId;
		$this->token = $token;
		$this->totpSecret = $totpSecret;
		$this->masterKeyId = $masterKeyId;
		$this->keys = $keys;
	}

	/** @return self|null null when there is no client.json @throws StateError */
	public static function load(StateFolder $folder): ?self {
		throw new \LogicException('not built yet');
	}

	/** Durable when it returns. @throws StateError */
	public function save(StateFolder $folder): void {
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

	/** @param list<string> $keys */
	public function withKeys(array $keys): self {
		return new self($this->urls, $this->clientId, $this->token, $this->totpSecret, $this->masterKeyId, $keys);
	}

	public function withMasterKeyId(?string $masterKeyId): self {
		return new self($this->urls, $this->clientId, $this->token, $this->totpSecret, $masterKeyId, $this->keys);
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** The key server, seen from this host: TLS 1.3, its CA pinned, connect 2 s, a whole exchange 5 s, never a proxy. */
class ReleaseClient {
	/**
	 * Spend an enrolment code. Writes nothing: the caller stores what comes back (Credentials, ca.pem, LinkState::start).
	 *
	 * @param list<string> $urls tried in order
	 * @param string $ca PEM of the key server's CA
	 * @return array{clientId: string, token: string, totpSecret: string|null, link: string, ca: string, keys: list<string>, url: string}
	 * @throws WireError
	 */
	public static function enroll(
		array $urls,
		#[\SensitiveParameter]
		string $code,
		string $ca,
		?string $name = null,
	): array {
		throw new \LogicException('not built yet');
	}

	/**
	 * Store a key under an escrow grant. The same bytes again are fine; other bytes are key_exists.
	 *
	 * @return array{id: string, sha256: string, created: bool}
	 * @throws WireError
	 */
	public function putKey(
		string $keyId,
		#[\SensitiveParameter]
		string $bytes,
		#[\SensitiveParameter]
		string $grant,
	): array {
		throw new \LogicException('not built yet');
	}

	/**
	 * One whole open + release, under the host's lock, the chain moved durably. No cache, no breaker.
	 *
	 * @param list<string> $keyIds
	 * @param string $reason cold | expired | cli:<command> | verify | restore
	 * @return array{keys: array<string, string>, policy: array{ttl: int, staleIfError: int}} bytes exactly as stored
	 * @throws WireError
	 * @throws \OCA\RemoteKeyStorage\State\StateError
	 */
	public function release(array $keyIds, string $reason): array {
		throw new \LogicException('not built yet');
	}

	/**
	 * Prove the newest stored link. The caller raises the purge marker when the state is "purge".
	 *
	 * @return array{state: string, policy: array{ttl: int, staleIfError: int}} state: ok | purge
	 * @throws WireError
	 * @throws \OCA\RemoteKeyStorage\State\StateError
	 */
	public function heartbeat(): array {
		throw new \LogicException('not built yet');
	}
}

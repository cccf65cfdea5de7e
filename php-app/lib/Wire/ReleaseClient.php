<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

use OCA\RemoteKeyStorage\Machine\BootId;
use OCA\RemoteKeyStorage\Machine\Fingerprint;
use OCA\RemoteKeyStorage\State\CertificateRequest;
use OCA\RemoteKeyStorage\State\ClientCertificate;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\LinkState;
use OCA\RemoteKeyStorage\State\ReleaseLog;
use OCA\RemoteKeyStorage\State\Rollback;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateFolder;
use OCA\RemoteKeyStorage\State\StateLock;

/** The key server, seen from this host: TLS 1.3, its CA pinned, connect 2 s, a whole exchange 5 s, never a proxy. */
class ReleaseClient {
	/** Longer than an exchange can take, so that a healthy queue never gives up. */
	public const LOCK_SECONDS = 6.0;

	private StateFolder $folder;
	private Credentials $credentials;
	private LinkState $links;
	private ReleaseLog $log;
	/** @var callable(): int */
	private $clock;
	private ServerList $servers;

	/**
	 * @param (callable(): int)|null $clock ms since 1970
	 * @param ServerList|null $servers null asks in the order of the credentials, and remembers nothing
	 */
	public function __construct(
		StateFolder $folder,
		Credentials $credentials,
		LinkState $links,
		ReleaseLog $log,
		?callable $clock = null,
		?ServerList $servers = null
	) {
		$this->folder = $folder;
		$this->credentials = $credentials;
		$this->links = $links;
		$this->log = $log;
		$this->clock = $clock ?? static fn (): int => (int)(microtime(true) * 1000);
		$this->servers = $servers ?? new ServerList($credentials->urls());
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
		string $grant
	): array {
		if (!Answer::isKeyId($keyId) || $bytes === '') {
			throw new \TypeError('putKey() needs a key id and bytes');
		}
		$lock = $this->folder->lock(self::LOCK_SECONDS);
		try {
			return $this->talk(fn (Transport $transport): array => $this->put($transport, $keyId, $bytes, $grant));
		} finally {
			$lock->release();
		}
	}

	/** @return array{id: string, sha256: string, created: bool} */
	private function put(
		Transport $transport,
		string $keyId,
		#[\SensitiveParameter]
		string $bytes,
		#[\SensitiveParameter]
		string $grant
	): array {
		$fields = ['key' => base64_encode($bytes), 'grant' => $grant];
		$answer = $transport->send('PUT', '/v1/keys/' . $keyId, $this->headers(false), $fields);
		$digest = $answer->text('sha256', 64);
		if ($answer->text('id', 128) !== $keyId || !hash_equals(hash('sha256', $bytes), $digest)) {
			throw new WireError('bad_answer', 'the key server stored something else than it was given', $answer->status());
		}
		return ['id' => $keyId, 'sha256' => $digest, 'created' => $answer->status() === 201];
	}

	/**
	 * One whole open + release, under the host's lock, the chain moved durably. No cache, no breaker: Host::keys() has both.
	 *
	 * @param list<string> $keyIds
	 * @param string $reason cold | expired | cli:<command> | verify | restore
	 * @param StateLock|null $held the lock, when the caller holds it already
	 * @return array{keys: array<string, string>, policy: array{ttl: int, staleIfError: int}} bytes exactly as stored
	 * @throws WireError
	 * @throws \OCA\RemoteKeyStorage\State\StateError
	 */
	public function release(array $keyIds, string $reason, ?StateLock $held = null): array {
		if ($keyIds === [] || array_filter($keyIds, [Answer::class, 'isKeyId']) !== $keyIds) {
			throw new \TypeError('release() needs key ids');
		}
		$lock = $held ?? $this->folder->lock(self::LOCK_SECONDS);
		try {
			return $this->freshly(fn (): array => $this->talk(
				fn (Transport $transport): array => $this->exchange($transport, $keyIds, $reason)
			));
		} finally {
			if ($held === null) {
				$lock->release();
			}
		}
	}

	/**
	 * Prove the newest stored link. Host::heartbeat() also does what the answer asks for.
	 *
	 * @return array{state: string, policy: array{ttl: int, staleIfError: int}, head: array{seq: int, head: string}} state: ok | purge
	 * @throws WireError
	 * @throws \OCA\RemoteKeyStorage\State\StateError
	 */
	public function heartbeat(): array {
		$lock = $this->folder->lock(self::LOCK_SECONDS);
		try {
			return $this->freshly(fn (): array => $this->talk(function (Transport $transport): array {
				$stamp = $this->links->stamp(($this->clock)());
				$bootId = BootId::current() ?? '00000000-0000-0000-0000-000000000000';
				$answer = $transport->send('POST', '/v1/heartbeat', $this->headers(false), [
					'linkId' => $stamp['link']->id(),
					'time' => $stamp['time'],
					'bootId' => $bootId,
					'uptime' => BootId::uptime(),
					'proof' => $stamp['link']->proof($stamp['time'], $bootId),
				]);
				$state = $answer->text('state', 16);
				if ($state !== 'ok' && $state !== 'purge') {
					throw new WireError('bad_answer', 'the key server\'s answer has no usable "state"', $answer->status());
				}
				$this->compare($stamp['seen'], $answer->head());
				$this->links->heard($answer->head());
				$this->trust($answer->optional('ca', 16384));
				return ['state' => $state, 'policy' => $answer->policy(), 'head' => $answer->head()];
			}));
		} finally {
			$lock->release();
		}
	}

	/**
	 * Ask for the next certificate, to a new key, and keep both. The present one is good until the new one was used.
	 *
	 * @throws WireError
	 * @throws \OCA\RemoteKeyStorage\State\StateError
	 */
	public function renewCertificate(): void {
		$request = CertificateRequest::make();
		$lock = $this->folder->lock(self::LOCK_SECONDS);
		try {
			$this->talk(function (Transport $transport) use ($request): array {
				$answer = $transport->send('POST', '/v1/certificate', $this->headers(true), ['csr' => $request->text()]);
				$certificate = $answer->optional('certificate', 16384) ?? '';
				$ca = $answer->optional('ca', 16384) ?? '';
				$request->assertAnswered($certificate, $ca);
				// first what it takes to know the server, then what it takes to be known
				$this->trust($ca);
				(new ClientCertificate($this->folder))->store($request, $certificate);
				return [];
			});
		} finally {
			$lock->release();
		}
	}

	/** What an authenticated answer says is to be trusted from now on; what cannot be that is passed over. */
	private function trust(?string $ca): void {
		if ($ca !== null && CertificateBundle::parse($ca) !== [] && $ca !== $this->folder->read('ca.pem')) {
			$this->folder->write('ca.pem', $ca);
		}
	}

	/**
	 * @param list<string> $keyIds
	 * @return array{keys: array<string, string>, policy: array{ttl: int, staleIfError: int}}
	 */
	private function exchange(Transport $transport, array $keyIds, string $reason): array {
		$stamp = $this->links->stamp(($this->clock)());
		$opened = $transport->send('POST', '/v1/open', $this->headers(true), [
			'link' => $stamp['link']->text(),
			'time' => $stamp['time'],
			'fingerprint' => Fingerprint::current(),
			'bootId' => BootId::current(),
			'reason' => $reason,
			'seen' => $stamp['seen'],
		]);
		$next = $opened->link('next');
		$session = $opened->text('session');
		$this->compare($stamp['seen'], $opened->head());
		// on disk before the second message: whoever holds only what was on disk before it can no longer go on unseen
		$time = $this->links->keep($stamp['link'], $next, ($this->clock)(), $opened->head());
		$released = $transport->send('POST', '/v1/release', $this->headers(false), [
			'session' => $session,
			'link' => $next->text(),
			'time' => $time,
			'keys' => $keyIds,
		]);
		$this->compare(LinkState::higher($stamp['seen'], $opened->head()), $released->head());
		$this->links->advance($next, $released->head());
		$this->adopt($released->newSecrets());
		return ['keys' => $released->keys($keyIds), 'policy' => $released->policy()];
	}

	/**
	 * New secrets go to the disk first and are used from the next call on. When they cannot be stored nothing is lost: the
	 * old ones are good until the key server hears the new, and the next release tells them again.
	 *
	 * @param array{token: string|null, totpSecret: string|null}|null $secrets
	 */
	private function adopt(#[\SensitiveParameter] ?array $secrets): void {
		if ($secrets === null) {
			return;
		}
		$changed = $this->credentials->withSecrets($secrets['token'], $secrets['totpSecret']);
		try {
			$changed->save($this->folder);
		} catch (StateError $e) {
			return;
		}
		$this->credentials = $changed;
	}

	/**
	 * A stale message was ignored by the server, so saying it again with a newer time is safe; once, and not while it can
	 * only be refused again. And if clocks are the reason of a refusal, the administrator shall know by how much they differ,
	 * or by how much they did when messages were stamped that still tell.
	 *
	 * @param callable(): array<string, mixed> $attempt
	 * @return array<string, mixed>
	 */
	private function freshly(callable $attempt): array {
		try {
			try {
				$result = $attempt();
			} catch (WireError $e) {
				if ($e->code() !== 'stale_message' || $e->serverTime() === null) {
					throw $e;
				}
				$stamp = (int)$this->links->time();
				if (!$this->links->rebase($e->serverTime())) {
					$ahead = $stamp - $e->serverTime();
					throw $e;
				}
				$result = $attempt();
			}
		} catch (WireError $e) {
			if ($e->serverTime() !== null) {
				$this->log->noteClock(isset($ahead) ? -$ahead : $e->serverTime() - ($this->clock)());
			}
			throw $e;
		}
		$this->log->noteClock(0);
		return $result;
	}

	/**
	 * @param callable(Transport, string): array<string, mixed> $conversation
	 * @return array<string, mixed>
	 */
	private function talk(callable $conversation): array {
		// the lock is held: another process of this host may have stored new secrets since this one read its own
		$this->credentials = Credentials::load($this->folder) ?? $this->credentials;
		if ($this->folder->read('ca.pem') === null) {
			throw new WireError('tls_failed', 'ca.pem is not in the state folder');
		}
		$shown = (new ClientCertificate($this->folder))->files();
		return Conversation::hold($this->servers, $this->folder->file('ca.pem'), $shown, $conversation);
	}

	/**
	 * @param array{seq: int, head: string}|null $known
	 * @param array{seq: int, head: string} $head
	 */
	private function compare(?array $known, array $head): void {
		if ($known !== null && Rollback::isContradiction($known, $head)) {
			(new Rollback($this->folder))->suspect($known, $head);
		}
	}

	/** @return list<string> */
	private function headers(bool $withCode): array {
		$headers = ['X-Client: ' . $this->credentials->clientId(), 'X-Auth-Token: ' . $this->credentials->token()];
		$secret = $this->credentials->totpSecret();
		if ($withCode && $secret !== null) {
			$headers[] = 'X-TOTP: ' . Totp::code((string)Encoding::fromBase32($secret), intdiv(($this->clock)(), 1000));
		}
		return $headers;
	}
}

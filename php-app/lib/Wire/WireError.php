<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/**
 * An exchange did not end well. code(): the server's problem code (unauthorized, source_refused, locked, killed,
 * sealed, degraded, rate_limited, stale_message, approval_pending, key_exists, grant_refused, not_found,
 * invalid_request, …) or one of ours: unreachable, timeout, tls_failed, bad_answer.
 */
class WireError extends \RuntimeException {
	private const HINTS = [
		'unreachable' => 'check that the key server runs and that the tunnel to it is up',
		'timeout' => 'the key server answered too slowly; check its load and the tunnel',
		'tls_failed' => 'the certificate is not from the CA in ca.pem or not for this name; enrol again if the server was set up anew',
		'bad_answer' => 'what answered is not a key server of this version; check the URL',
		'unauthorized' => 'credentials, clock or link do not fit; see "keyserver audit tail", then enrol again under a reset code',
		'certificate_expired' => 'the certificate ran out unrenewed; run "keyserver client reset" and enrol again with the code it prints',
		'source_refused' => 'this host does not call from an allowed network; see "keyserver client show"',
		'locked' => 'the key server has locked this client; see "keyserver audit tail", then "keyserver client reset" and enrol again',
		'killed' => 'the kill switch is on; "keyserver revive" ends it',
		'sealed' => 'the vault is sealed; start the key server with its key file or passphrase',
		'degraded' => 'the key server cannot write its audit log or store; see "keyserver doctor"',
		'rate_limited' => 'too many requests; wait, then look for what asks so often',
		'stale_message' => 'the clocks of this host and of the key server differ; check time synchronisation on both',
		'approval_pending' => 'there, "keyserver approval show" tells what differs from last time; "approval approve" or "deny" answers it',
		'approval_denied' => 'nobody on the key server said yes; "keyserver approval list --all" there, then "approval approve"',
		'fingerprint_refused' => 'this machine is not the one that was enrolled; if it is yours, "keyserver client reset" and enrol again',
		'outside_hours' => 'this client may not ask at this hour; see "keyserver client show"',
		'key_exists' => 'the key server holds other bytes under this id; nothing was changed',
		'grant_refused' => 'the escrow grant is used up, expired or of another client; ask for a new one',
		'not_found' => 'the key server does not hold this key',
	];

	private const DENIALS = [
		'unauthorized', 'source_refused', 'locked', 'killed', 'approval_denied', 'fingerprint_refused', 'outside_hours',
	];

	private string $errorCode;
	private int $status;
	private ?int $retryAfter;
	private string $detail;
	private ?int $serverTime;

	/**
	 * @param int $status HTTP status, 0 when there was no answer
	 * @param int|null $retryAfter seconds
	 * @param string $detail "reason" of a 423 or of approval_denied, "approval" of a 202, else ''
	 * @param int|null $serverTime ms; to the second where only the answer's header told it, null without an answer
	 */
	public function __construct(
		string $errorCode,
		string $message,
		int $status = 0,
		?int $retryAfter = null,
		string $detail = '',
		?int $serverTime = null
	) {
		parent::__construct($message);
		$this->errorCode = $errorCode;
		$this->status = $status;
		$this->retryAfter = $retryAfter;
		$this->detail = $detail;
		$this->serverTime = $serverTime;
	}

	public function code(): string {
		return $this->errorCode;
	}

	public function status(): int {
		return $this->status;
	}

	public function retryAfter(): ?int {
		return $this->retryAfter;
	}

	public function detail(): string {
		return $this->detail;
	}

	public function serverTime(): ?int {
		return $this->serverTime;
	}

	/**
	 * The server was reached and refuses this client: caches must go. By status, so that a gate this version has not heard
	 * of counts too; by code for a refusal the breaker repeats. When nobody answered in time, nobody said no either: what
	 * is in RAM goes on as if the server were out of reach.
	 */
	public function isDenial(): bool {
		if (in_array($this->errorCode, ['bad_answer', 'grant_refused'], true) || $this->isUnanswered()) {
			return false;
		}
		return in_array($this->status, [401, 403, 423], true)
			|| in_array($this->errorCode, self::DENIALS, true);
	}

	/** A person was asked, and has not answered: not yet, or not in time. */
	public function isUnanswered(): bool {
		return $this->errorCode === 'approval_pending' || ($this->errorCode === 'approval_denied' && $this->detail === 'lapsed');
	}

	/** Another key server of the list may do better: this one was not reached or cannot serve anybody now. */
	public function isElsewhereWorthTrying(): bool {
		return $this->status === 0 || in_array($this->errorCode, ['sealed', 'degraded', 'bad_answer'], true);
	}

	/** What an administrator can do about it, in one sentence. */
	public function hint(): string {
		$code = $this->errorCode === 'locked' && $this->detail === 'killed' ? 'killed' : $this->errorCode;
		return self::HINTS[$code] ?? 'see the key server\'s log for the request of this time';
	}
}

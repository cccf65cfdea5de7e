<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * Moves the private keys from this disk to the key server. Every stage may be repeated, and may be cut off at any
 * point: a key is taken from the disk only after the key server has just handed out the very same bytes and the list
 * of moved keys is durable, so there is no moment without a copy that Nextcloud knows how to reach.
 */
final class Escrow {
	public function __construct(
		private KeysOnDisk $disk,
		private Custody $custody,
		private MovedKeys $moved,
		private Proof $proof,
	) {
	}

	/**
	 * Hands every private key to the key server and takes it back once to compare.
	 *
	 * @param string|null $grant the one-time escrow grant; a spent one is fine when all keys have arrived already
	 * @return array<string, string> id → blob
	 * @throws Failure
	 */
	public function store(#[\SensitiveParameter] ?string $grant): array {
		$local = $this->readAll();
		$moved = $this->moved->ids();
		if ($local === [] && $moved === []) {
			throw new Failure('no_private_keys', 'this server has no private keys', 'enable server-side encryption first');
		}
		foreach ($local as $id => $blob) {
			$this->assertOpens($id, $blob);
		}
		$refused = null;
		foreach ($local as $id => $blob) {
			try {
				if ($grant === null) {
					throw new Failure('grant_required', '"grant" must be the escrow grant of this client');
				}
				$this->custody->store($id, $blob, $grant);
			} catch (Failure $failure) {
				if (!in_array($failure->reason(), ['grant_refused', 'grant_required'], true)) {
					throw $failure;
				}
				$refused = $failure;
				break;
			}
		}
		try {
			$released = $this->custody->release($this->union(array_keys($local), $moved), 'cli:remotekey:escrow');
		} catch (Failure $failure) {
			throw $refused ?? $failure;
		}
		$this->assertSame($local, $released);
		return $released;
	}

	/**
	 * A release that no cache may answer, and decryptions with what came back.
	 *
	 * @return array{release: bool, pair: bool, files: int}
	 * @throws Failure
	 */
	public function prove(): array {
		$local = $this->readAll();
		$released = $this->custody->release($this->union(array_keys($local), $this->moved->ids()), 'cli:remotekey:escrow');
		$this->assertSame($local, $released);
		$files = 0;
		foreach ($released as $id => $blob) {
			$this->assertOpens($id, $blob);
			if (KeyId::isMaster($id)) {
				$files += $this->proof->files($id, $blob, true);
			}
		}
		return ['release' => true, 'pair' => true, 'files' => $files];
	}

	/**
	 * Takes the private keys off this disk.
	 *
	 * @return list<string> ids that were still here
	 * @throws Failure
	 */
	public function remove(): array {
		if ($this->proof->hook() === 'off') {
			throw new Failure(
				'hook_off',
				'this Nextcloud would not fetch its keys from the key server',
				'see that the app remotekeystorage is enabled and loads without errors in the log',
			);
		}
		$local = $this->readAll();
		$before = $this->moved->ids();
		$all = $this->union(array_keys($local), $before);
		if ($all === []) {
			throw new Failure('no_private_keys', 'this server has no private keys', 'enable server-side encryption first');
		}
		$released = $this->custody->release($all, 'cli:remotekey:escrow');
		$this->assertSame($local, $released);
		$master = null;
		foreach ($released as $id => $blob) {
			$this->assertOpens($id, $blob);
			$master = KeyId::isMaster($id) ? $id : $master;
		}
		if ($master === null) {
			throw new Failure('master_key_missing', 'there is no master key among the private keys of this server');
		}
		$files = $this->proof->files($master, $released[$master], true);

		$this->moved->replace($all, KeyId::owner($master));
		// from here on Nextcloud writes none of them any more; what changed in between is not ours to delete
		$now = $this->readAll();
		try {
			$this->assertSame($now, $released);
		} catch (Failure $failure) {
			$this->moved->replace($before, null);
			throw $failure;
		}
		foreach (array_keys($now) as $id) {
			$this->disk->remove($id);
		}
		try {
			$this->moved->dropCaches();
			$this->assertOpens($master, $this->proof->live($master));
			if ($this->proof->files($master, $released[$master], true) < $files) {
				throw new Failure('sample_differs', 'fewer test files can be read than before');
			}
		} catch (\Throwable $failure) {
			$this->putBack($local, $before);
			throw new Failure(
				'proof_failed',
				'with the keys away from the disk they could not be used, so they were put back',
				$failure instanceof Failure ? $failure->reason() . ': ' . $failure->getMessage() : 'see the log of this Nextcloud',
				$failure,
			);
		}
		return array_keys($now);
	}

	/**
	 * @param array<string, string> $local
	 * @param list<string> $before
	 */
	private function putBack(#[\SensitiveParameter] array $local, array $before): void {
		foreach ($local as $id => $blob) {
			$this->disk->write($id, $blob);
		}
		if ($local !== []) {
			$this->moved->replace(array_values(array_diff($before, array_keys($local))), null);
		}
		$this->moved->dropCaches();
	}

	/** @return array<string, string> */
	private function readAll(): array {
		$blobs = [];
		foreach ($this->disk->ids() as $id) {
			$blob = $this->disk->read($id);
			if ($blob !== null) {
				$blobs[$id] = $blob;
			}
		}
		return $blobs;
	}

	/**
	 * @param list<string> $some
	 * @param list<string> $more
	 * @return list<string>
	 */
	private function union(array $some, array $more): array {
		$all = array_values(array_unique(array_merge($some, $more)));
		sort($all);
		return $all;
	}

	/**
	 * @param array<string, string> $local
	 * @param array<string, string> $released
	 */
	private function assertSame(#[\SensitiveParameter] array $local, #[\SensitiveParameter] array $released): void {
		foreach ($local as $id => $blob) {
			if (!isset($released[$id]) || !hash_equals($blob, $released[$id])) {
				throw new Failure(
					'key_differs',
					'the key server holds other bytes for ' . $id . ' than this disk',
					'nothing was changed here; compare their SHA-256 with `keyserver key list` before going on',
				);
			}
		}
	}

	private function assertOpens(string $id, #[\SensitiveParameter] string $blob): void {
		$opens = $this->proof->opens($id, $blob);
		if ($opens === false || ($opens === null && KeyId::isMaster($id))) {
			throw new Failure(
				'key_unusable',
				$id . ' does not open with this instance\'s secret or does not belong to its public half',
				'check "secret" and "instanceid" in config.php and the public key in files_encryption',
			);
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * The way back: private keys return to this disk, then Nextcloud uses those again. Works with the owner's copy alone;
 * the key server is asked only when no copy is given.
 */
final class Restore {
	public function __construct(
		private KeysOnDisk $disk,
		private Custody $custody,
		private MovedKeys $moved,
		private Proof $proof,
	) {
	}

	/**
	 * Writes the private keys to this disk. Nextcloud goes on using the key server until `finish`.
	 *
	 * @param array<string, string>|null $copy id → blob of the owner's copy, null to ask the key server
	 * @return array{written: list<string>, present: list<string>, missing: list<string>}
	 * @throws Failure
	 */
	public function write(#[\SensitiveParameter] ?array $copy): array {
		$moved = $this->moved->ids();
		if ($copy === null) {
			if ($moved === []) {
				return ['written' => [], 'present' => $this->disk->ids(), 'missing' => []];
			}
			$copy = $this->custody->release($moved, 'restore');
		}
		if ($copy === []) {
			throw new Failure('invalid_request', '"keys" must hold at least one key');
		}
		$stale = [];
		foreach ($copy as $id => $blob) {
			KeyId::assertPrivate($id);
			if ($this->proof->opens($id, $blob) === false) {
				throw new Failure(
					'key_unusable',
					$id . ' does not open with this instance\'s secret or does not belong to the public half on this disk',
					'the copy must be of this very instance; check "secret" and "instanceid" in config.php',
				);
			}
			$local = $this->readOrNull($id);
			if ($local !== null && !hash_equals($local, $blob)) {
				throw new Failure(
					'key_differs',
					'this disk holds other bytes for ' . $id . ' than the copy',
					'nothing was changed; find out which one opens the files before moving either away',
				);
			}
			if ($local === null) {
				$stale[] = $id;
			}
		}
		foreach ($stale as $id) {
			$this->disk->write($id, $copy[$id]);
			if ($this->disk->read($id) !== $copy[$id]) {
				throw new Failure('local_key_not_written', $id . ' does not read back as it was written');
			}
		}
		return [
			'written' => $stale,
			'present' => array_values(array_diff(array_keys($copy), $stale)),
			'missing' => $this->missing($moved),
		];
	}

	/**
	 * Lets Nextcloud use the keys on this disk again.
	 *
	 * @return array{restored: list<string>, decrypt: bool, files: int}
	 * @throws Failure
	 */
	public function finish(): array {
		$moved = $this->moved->ids();
		$missing = $this->missing($moved);
		if ($missing !== []) {
			throw new Failure(
				'keys_missing',
				'not on this disk yet: ' . implode(', ', $missing),
				'run the stage `write` first; nothing was changed',
			);
		}
		$files = 0;
		$master = null;
		foreach ($this->disk->ids() as $id) {
			$blob = $this->disk->read($id);
			if ($blob === null || $this->proof->opens($id, $blob) === false) {
				throw new Failure('key_unusable', $id . ' on this disk does not open', 'nothing was changed');
			}
			if (KeyId::isMaster($id)) {
				$master = $id;
				$files += $this->proof->files($id, $blob, false);
			}
		}
		if ($master === null) {
			throw new Failure('master_key_missing', 'there is no private master key on this disk', 'run the stage `write` first');
		}
		if ($moved !== []) {
			$this->moved->dropCaches(); // by their ids, which are not known any more after the next line
			$this->moved->replace([], null);
		}
		$this->moved->dropCaches();
		if ($this->proof->opens($master, $this->proof->live($master)) === false) {
			throw new Failure('key_unusable', 'Nextcloud does not get a usable master key', 'the keys are on this disk; see the log');
		}
		return ['restored' => $moved, 'decrypt' => true, 'files' => $files];
	}

	/** A half-written file from before a crash counts as not there. */
	private function readOrNull(string $id): ?string {
		try {
			return $this->disk->read($id);
		} catch (Failure $failure) {
			return null;
		}
	}

	/**
	 * @param list<string> $ids
	 * @return list<string>
	 */
	private function missing(array $ids): array {
		return array_values(array_filter($ids, fn (string $id): bool => $this->readOrNull($id) === null));
	}
}

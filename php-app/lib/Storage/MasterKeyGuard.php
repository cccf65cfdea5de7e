<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OCA\RemoteKeyStorage\State\StateError;

/**
 * Nextcloud makes a new master key, and says nothing, when it finds neither half of the one its database names. After a
 * loss (of the database value, the state folder, config.php, the key folder) that would be a second one: new files would
 * open with a key that nobody keeps, old ones not at all. So whatever still tells of a first one forbids it.
 */
class MasterKeyGuard {
	private const ID = '/\A(master_.+)\.(privateKey|publicKey)\z/s';

	/** @var callable(): list<string> */
	private $names;
	/** @var callable(): bool */
	private $hasEncryptedFiles;

	/**
	 * @param callable(): list<string> $names what lies in the key folder
	 * @param callable(): bool $hasEncryptedFiles does the database know of any?
	 */
	public function __construct(callable $names, callable $hasEncryptedFiles) {
		$this->names = $names;
		$this->hasEncryptedFiles = $hasEncryptedFiles;
	}

	/**
	 * @param bool $isKnown does config.php name a state folder? On any other server only a public half without its
	 *     private one counts, which Nextcloud by itself never leaves behind: an old key folder under a new installation
	 *     and files from before master-key mode are its own business.
	 * @throws StateError refused
	 */
	public function assertMayWrite(string $keyId, bool $isKnown): void {
		if (preg_match(self::ID, $keyId, $match) !== 1) {
			return;
		}
		$names = ($this->names)();
		foreach ($names as $name) {
			if (preg_match(self::ID, $name, $other) !== 1 || $other[2] !== 'publicKey') {
				continue;
			}
			// the public half is written first, so beside a new private one its own is no stranger
			$isOwn = $other[1] === $match[1] && $match[2] === 'privateKey';
			if (!$isOwn && ($isKnown || !in_array($other[1] . '.privateKey', $names, true))) {
				throw new StateError(
					'refused',
					'Nextcloud was about to write ' . $keyId . ', but there is a master key already: ' . $other[1],
					'occ config:app:set encryption masterKeyId --value=' . $other[1]
						. '; if it was moved to a key server, look for the state folder or enrol again; only if it was given up'
						. ' for good, take ' . $name . ' out of files_encryption'
				);
			}
		}
		if ($isKnown && ($this->hasEncryptedFiles)()) {
			throw new StateError(
				'refused',
				'Nextcloud was about to write ' . $keyId . ', but there are encrypted files, so there was a master key already',
				'find out where the key folder files_encryption and the app config value encryption/masterKeyId went; only if'
					. ' the old files were given up for good, remove "remotekeystorage.dir" from config.php'
			);
		}
	}
}

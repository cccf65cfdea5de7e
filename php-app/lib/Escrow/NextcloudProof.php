<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\Encryption\Crypto\Crypt;
use OCA\RemoteKeyStorage\AppInfo\HookState;
use OCP\Encryption\Keys\IStorage;
use OCP\IConfig;

/** Proof by Nextcloud's own encryption code and real files. */
final class NextcloudProof implements Proof {
	private const MODULE = 'OC_DEFAULT_MODULE';
	private const FILES = 5;

	private IConfig $config;
	private KeysOnDisk $disk;
	private SampleFiles $samples;
	/** @var array<string, string> sha256(blob) → PEM; opening one costs half a second */
	private array $opened = [];

	public function __construct(IConfig $config, KeysOnDisk $disk, SampleFiles $samples) {
		$this->config = $config;
		$this->disk = $disk;
		$this->samples = $samples;
	}

	public function opens(string $id, #[\SensitiveParameter] string $blob): ?bool {
		if (!KeyId::isMaster($id) && !KeyId::isPublicShare($id)) {
			return null;
		}
		$private = $this->open($id, $blob);
		if ($private === null) {
			return false;
		}
		$public = $this->disk->publicHalf($id);
		return $public === null ? null : PairCheck::matches($private, $public);
	}

	public function files(string $masterId, #[\SensitiveParameter] string $blob, bool $asNextcloud): int {
		$private = $this->open($masterId, $blob);
		if ($private === null) {
			throw new Failure('key_unusable', $masterId . ' does not open with this instance\'s secret');
		}
		$compared = 0;
		foreach ($this->samples->choose(self::FILES) as $path) {
			$same = $this->samples->compare($path, KeyId::owner($masterId), $private, $asNextcloud);
			if ($same === false) {
				throw new Failure(
					'sample_differs',
					'a test file does not read the same with this master key: ' . $path,
				);
			}
			$compared += $same === true ? 1 : 0;
		}
		return $compared;
	}

	public function live(string $id): string {
		try {
			$blob = (string)\OCP\Server::get(IStorage::class)->getSystemUserKey($id, self::MODULE);
		} catch (\Throwable $error) {
			throw Failure::from($error->getPrevious() ?? $error);
		}
		if ($blob === '') {
			throw new Failure('key_unusable', 'Nextcloud gets nothing for ' . $id);
		}
		return $blob;
	}

	public function hook(): string {
		return HookState::hook();
	}

	private function open(string $id, #[\SensitiveParameter] string $blob): ?string {
		$memo = hash('sha256', $id . "\0" . $blob);
		if (!isset($this->opened[$memo])) {
			// Nextcloud salts the master key with its id and protects the public-share key with an empty password
			$password = KeyId::isMaster($id) ? $this->config->getSystemValueString('secret', '') : '';
			$user = KeyId::isMaster($id) ? KeyId::owner($id) : '';
			try {
				$private = \OCP\Server::get(Crypt::class)->decryptPrivateKey($blob, $password, $user);
			} catch (\Throwable $error) {
				$private = false;
			}
			if (!is_string($private) || $private === '') {
				return null;
			}
			$this->opened[$memo] = $private;
		}
		return $this->opened[$memo];
	}
}

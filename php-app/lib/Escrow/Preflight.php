<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\Host;
use OCP\App\IAppManager;
use OCP\IConfig;

/** A look at this Nextcloud before any key moves. Changes nothing and asks the key server nothing. */
final class Preflight {
	private const SAMPLES = 5;

	public function __construct(
		private IConfig $config,
		private IAppManager $apps,
		private KeysOnDisk $disk,
		private MovedKeys $moved,
		private Proof $proof,
		private SampleFiles $samples,
		private Surroundings $surroundings,
		private ?Host $host,
	) {
	}

	/**
	 * @return array<string, mixed> mode, masterKeyId, privateKeys, foreignShareKeys, sample, problems
	 * @throws Failure
	 */
	public function run(): array {
		$masterKeyId = $this->config->getAppValue('encryption', 'masterKeyId', '');
		$keys = $this->privateKeys();
		$enabled = $this->apps->isInstalled('encryption')
			&& $this->config->getAppValue('core', 'encryption_enabled', 'no') === 'yes';
		$sample = [];
		$unreadable = [];
		if ($enabled) {
			[$sample, $unreadable] = $this->sample();
		}
		$facts = [
			'encryptionEnabled' => $enabled,
			'mode' => $this->mode(),
			'masterKeyId' => $masterKeyId,
			'migrated' => $this->config->getSystemValueBool('encryption.key_storage_migrated', true),
			'enrolled' => $this->enrolled(),
			'privateKeys' => $keys,
			'foreignShareKeys' => $this->surroundings->foreignShareKeys(),
			'unreadableSamples' => $unreadable,
			'copies' => $this->surroundings->copies(),
			'integrity' => $this->surroundings->integrity(),
			'unsynced' => !function_exists('fsync'),
		] + Leaks::facts();
		return [
			'mode' => $facts['mode'],
			'masterKeyId' => $masterKeyId,
			'privateKeys' => $keys,
			'foreignShareKeys' => $facts['foreignShareKeys'],
			'sample' => $sample,
			'problems' => Findings::problems($facts),
		];
	}

	/** @throws Failure when moving keys makes no sense on this server at all */
	public function assertMovable(): void {
		if ($this->mode() !== 'master') {
			throw Findings::userKeyMode();
		}
	}

	private function mode(): string {
		return $this->config->getAppValue('encryption', 'useMasterKey', '1') === '1' ? 'master' : 'user';
	}

	private function enrolled(): bool {
		try {
			return $this->host !== null && $this->host->credentials() !== null;
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
	}

	/** @return list<array{id: string, bytes: int, sha256: string, local: bool, remote: bool, opens: bool|null}> */
	private function privateKeys(): array {
		$local = $this->disk->ids();
		$moved = $this->moved->ids();
		$ids = array_values(array_unique(array_merge($local, $moved)));
		sort($ids);
		$keys = [];
		foreach ($ids as $id) {
			$blob = '';
			try {
				$blob = (string)$this->disk->read($id);
			} catch (Failure $failure) {
				// told by bytes = 0 below, and named by Findings
			}
			$keys[] = [
				'id' => $id,
				'bytes' => strlen($blob),
				'sha256' => $blob === '' ? '' : hash('sha256', $blob),
				'local' => in_array($id, $local, true),
				'remote' => in_array($id, $moved, true),
				'opens' => $blob === '' ? null : $this->proof->opens($id, $blob),
			];
		}
		return $keys;
	}

	/** @return array{0: list<string>, 1: list<string>} readable and unreadable ones, by the master key Nextcloud gets now */
	private function sample(): array {
		$good = [];
		$bad = [];
		foreach ($this->samples->choose(self::SAMPLES) as $path) {
			if ($this->samples->reads($path)) {
				$good[] = $path;
			} else {
				$bad[] = $path;
			}
		}
		return [$good, $bad];
	}
}

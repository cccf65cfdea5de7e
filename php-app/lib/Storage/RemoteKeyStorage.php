<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OC\Encryption\Keys\Storage;
use OC\Encryption\Util;
use OC\Files\View;
use OCA\RemoteKeyStorage\AppInfo\HookState;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\StateError;
use OCP\Encryption\Exceptions\GenericEncryptionException;
use OCP\IConfig;
use OCP\IDBConnection;
use OCP\IGroupManager;
use OCP\IUserManager;
use OCP\Security\ICrypto;
use Psr\Container\ContainerInterface;
use Psr\Log\LoggerInterface;

/**
 * Nextcloud's key storage, except that the ids in client.json `keys` come from the key server and cannot be written or
 * deleted here. Everything else, and everything while this host is not enrolled, is Nextcloud's own.
 */
class RemoteKeyStorage extends Storage {
	private const PRIVATE_SUFFIX = '.privateKey';

	private IConfig $ownConfig;
	private MasterKeyGuard $guard;
	private ?Host $host;
	private ?LoggerInterface $logger;

	public function __construct(
		View $view,
		Util $util,
		ICrypto $crypto,
		IConfig $config,
		MasterKeyGuard $guard,
		?Host $host = null,
		?LoggerInterface $logger = null
	) {
		parent::__construct($view, $util, $crypto, $config);
		$this->ownConfig = $config;
		$this->guard = $guard;
		$this->host = $host;
		$this->logger = $logger;
	}

	/** Made from the server's container alone, so that a patched Server.php can hand it out without the app. */
	public static function build(ContainerInterface $container): self {
		$view = new View();
		$config = $container->get(IConfig::class);
		$util = new Util($view, $container->get(IUserManager::class), $container->get(IGroupManager::class), $config);
		$guard = new MasterKeyGuard(
			static fn (): array => (new KeyFolder($view, $util))->names(),
			static fn (): bool => self::hasEncryptedFiles($container->get(IDBConnection::class))
		);
		return new self($view, $util, $container->get(ICrypto::class), $config, $guard, null, $container->get(LoggerInterface::class));
	}

	/**
	 * @param string $keyId
	 * @param string $encryptionModuleId
	 * @return string|LazyKey
	 */
	public function getSystemUserKey($keyId, $encryptionModuleId) {
		if (!self::isPrivate($keyId)) {
			return parent::getSystemUserKey($keyId, $encryptionModuleId);
		}
		if ($this->isRemote($keyId)) {
			return $this->lazily($keyId);
		}
		$key = parent::getSystemUserKey($keyId, $encryptionModuleId);
		if ($key === '' && $this->host() !== null) {
			// the keys may have been moved away while this process was running
			$this->host()->reload();
			if ($this->isRemote($keyId)) {
				return $this->lazily($keyId);
			}
			$public = substr($keyId, 0, -strlen(self::PRIVATE_SUFFIX)) . '.publicKey';
			if (parent::getSystemUserKey($public, $encryptionModuleId) !== '') {
				throw $this->logged(Refusal::because(
					$keyId . ' is neither on this disk nor known to be on the key server',
					'look for the state folder that "remotekeystorage.dir" in config.php names'
				));
			}
		}
		return $key;
	}

	/**
	 * @param string $keyId
	 * @param string $key
	 * @param string $encryptionModuleId
	 * @return bool
	 */
	public function setSystemUserKey($keyId, #[\SensitiveParameter] $key, $encryptionModuleId) {
		$this->refuseToTouch($keyId);
		if ($encryptionModuleId === KeyFolder::MODULE) {
			try {
				$this->guard->assertMayWrite($keyId, $this->host() !== null);
			} catch (StateError $e) {
				throw $this->logged(Refusal::from($e));
			}
		}
		return parent::setSystemUserKey($keyId, $key, $encryptionModuleId);
	}

	/**
	 * @param string $keyId
	 * @param string $encryptionModuleId
	 * @return bool
	 */
	public function deleteSystemUserKey($keyId, $encryptionModuleId) {
		$this->refuseToTouch($keyId);
		return parent::deleteSystemUserKey($keyId, $encryptionModuleId);
	}

	/**
	 * KeySource::fresh() of this instance's host: a real release, past cache and breaker.
	 *
	 * @param list<string> $keyIds
	 * @param string $reason verify | restore | cli:<command>
	 * @return array<string, string> bytes exactly as the server holds them
	 * @throws \OCA\RemoteKeyStorage\Wire\WireError
	 * @throws StateError
	 */
	public function releaseFresh(array $keyIds, string $reason): array {
		$host = $this->host();
		if ($host === null) {
			throw new StateError('state_missing', 'this host is not enrolled', 'occ remotekey:enroll');
		}
		return $host->keys()->fresh($keyIds, $reason);
	}

	/** What stock Nextcloud would answer: the local file, '' when there is none. For escrow and restore. */
	public function localSystemUserKey(string $keyId, string $moduleId): string {
		return (string)parent::getSystemUserKey($keyId, $moduleId);
	}

	/** Write the local file although the id is remote. For restore only. */
	public function writeLocalSystemUserKey(string $keyId, #[\SensitiveParameter] string $key, string $moduleId): bool {
		return (bool)parent::setSystemUserKey($keyId, $key, $moduleId);
	}

	/** Delete the local file although the id is remote. For escrow --stage=remove only. */
	public function deleteLocalSystemUserKey(string $keyId, string $moduleId): bool {
		return (bool)parent::deleteSystemUserKey($keyId, $moduleId);
	}

	private function lazily(string $keyId): LazyKey {
		return new LazyKey(function () use ($keyId): string {
			try {
				$risk = HookState::risk(PHP_SAPI);
				if ($risk !== null) {
					throw Refusal::because('the hook is not complete, so the key could reach the disk: ' . $risk);
				}
				$bytes = $this->host()->keys()->get($keyId);
				$this->host()->rollback()->announce(function (string $text): void {
					if ($this->logger !== null) {
						$this->logger->warning($text, ['app' => 'remotekeystorage']);
					}
				});
				return $bytes;
			} catch (GenericEncryptionException $e) {
				throw $this->logged($e);
			}
		});
	}

	/** @throws \OCP\Encryption\Exceptions\GenericEncryptionException in any doubt */
	private function isRemote(string $keyId): bool {
		$credentials = $this->credentials();
		if ($credentials === null || $credentials->isRemote($keyId)) {
			return $credentials !== null;
		}
		$pinned = self::pinnedMaster($credentials);
		if ($pinned !== null && strncmp($keyId, 'master_', 7) === 0) {
			throw $this->logged(Refusal::because(
				'Nextcloud asks for ' . $keyId . ', but this server\'s master key is ' . $pinned,
				'occ config:app:set encryption masterKeyId --value=' . $pinned
			));
		}
		return false;
	}

	/** Both halves: a new public key beside an old private one would be the end of every new file. */
	private function refuseToTouch(string $keyId): void {
		$base = (string)preg_replace('/\.(privateKey|publicKey)\z/', '', $keyId);
		if ($base === $keyId) {
			return;
		}
		if ($this->host() !== null) {
			// another process may have moved the keys away meanwhile
			$this->host()->reload();
		}
		$credentials = $this->credentials();
		if ($credentials === null) {
			return;
		}
		$isMaster = strncmp($keyId, 'master_', 7) === 0 && self::pinnedMaster($credentials) !== null;
		if ($isMaster || $credentials->isRemote($base . self::PRIVATE_SUFFIX)) {
			throw $this->logged(Refusal::because($keyId . ' is kept on the key server and must not be written or deleted here'));
		}
	}

	private static function pinnedMaster(Credentials $credentials): ?string {
		$id = $credentials->masterKeyId();
		if ($id !== null && $credentials->isRemote($id . self::PRIVATE_SUFFIX)) {
			return $id;
		}
		// a master key that has moved is pinned by that alone
		foreach ($credentials->keys() as $keyId) {
			if (strncmp($keyId, 'master_', 7) === 0) {
				return substr($keyId, 0, -strlen(self::PRIVATE_SUFFIX));
			}
		}
		return null;
	}

	private static function hasEncryptedFiles(IDBConnection $database): bool {
		$query = $database->getQueryBuilder();
		$query->select('fileid')->from('filecache')->where($query->expr()->gt('encrypted', $query->expr()->literal(0)))->setMaxResults(1);
		$result = $query->executeQuery();
		$found = $result->fetch() !== false;
		$result->closeCursor();
		return $found;
	}

	private function credentials(): ?Credentials {
		try {
			$host = $this->host();
			return $host === null ? null : $host->credentials();
		} catch (StateError $e) {
			throw $this->logged(Refusal::from($e));
		}
	}

	/** WebDAV drops the exceptions before its own, so the log would not say why. */
	private function logged(GenericEncryptionException $refusal): GenericEncryptionException {
		if ($this->logger !== null) {
			$this->logger->error(Refusal::story($refusal), ['app' => 'remotekeystorage']);
		}
		return $refusal;
	}

	private function host(): ?Host {
		return $this->host ??= Host::fromConfig($this->ownConfig);
	}

	private static function isPrivate(string $keyId): bool {
		return substr($keyId, -strlen(self::PRIVATE_SUFFIX)) === self::PRIVATE_SUFFIX;
	}
}

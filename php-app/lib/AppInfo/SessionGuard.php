<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

use OCA\Encryption\AppInfo\Application as EncryptionApplication;
use OCA\Encryption\Crypto\Crypt;
use OCA\Encryption\Session;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\Session\KeylessSession;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Storage\Refusal;
use OCP\Encryption\Keys\IStorage;
use OCP\IConfig;
use OCP\ISession;
use Psr\Container\ContainerInterface;

/** Puts KeylessSession into the encryption app's own container. */
class SessionGuard {
	private const MODULE = 'OC_DEFAULT_MODULE';

	private ContainerInterface $server;

	public function __construct(ContainerInterface $server) {
		$this->server = $server;
	}

	/** False, and nothing done, while the encryption app is switched off: its classes cannot be loaded then. */
	public function install(): bool {
		if (!class_exists(EncryptionApplication::class)) {
			return false;
		}
		// asking for the application makes its container; before Nextcloud 30 there is none yet at this point
		$encryption = $this->server->get(EncryptionApplication::class)->getContainer();
		// whoever had it made already keeps the one that writes the key into the session
		if ($encryption instanceof \ArrayAccess && $encryption->offsetExists(Session::class)) {
			throw new \LogicException('the session of the encryption app was made before');
		}
		$encryption->registerService(Session::class, fn (): Session => new KeylessSession(
			$this->server->get(ISession::class),
			fn (): bool => $this->isMasterKeyRemote(),
			fn (): string => $this->openMasterKey($encryption)
		));
		return true;
	}

	private function isMasterKeyRemote(): bool {
		$config = $this->server->get(IConfig::class);
		$host = Host::fromConfig($config);
		// with per-user keys the session is the only place where Nextcloud can keep them
		if ($host === null || $config->getAppValue('encryption', 'useMasterKey', '1') !== '1') {
			return false;
		}
		try {
			$credentials = $host->credentials();
		} catch (StateError $e) {
			return true;
		}
		$id = $credentials === null ? null : $credentials->masterKeyId();
		return $id !== null && $credentials->isRemote($id . '.privateKey');
	}

	private function openMasterKey(ContainerInterface $encryption): string {
		$config = $this->server->get(IConfig::class);
		$host = Host::fromConfig($config);
		try {
			$credentials = $host === null ? null : $host->credentials();
		} catch (StateError $e) {
			throw Refusal::from($e);
		}
		$id = $credentials === null ? null : $credentials->masterKeyId();
		if ($id === null) {
			throw Refusal::because('this host is no longer enrolled');
		}
		// with another id every file would look damaged instead of waiting for its key
		if ($config->getAppValue('encryption', 'masterKeyId', '') !== $id) {
			throw Refusal::because(
				'the database names another master key than ' . $id,
				'occ config:app:set encryption masterKeyId --value=' . $id
			);
		}
		$blob = (string)$this->server->get(IStorage::class)->getSystemUserKey($id . '.privateKey', self::MODULE);
		$key = $encryption->get(Crypt::class)->decryptPrivateKey($blob, (string)$config->getSystemValue('secret'), $id);
		if (!is_string($key) || $key === '') {
			throw Refusal::because('the released key does not open with this instance\'s secret');
		}
		return $key;
	}
}

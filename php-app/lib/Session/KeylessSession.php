<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Session;

use OCA\Encryption\Session;
use OCP\ISession;

/**
 * The encryption app's session, without the key in it. Nextcloud would put the decrypted master key into the PHP session,
 * which is a file or a Redis dump protected by nothing but the visitor's cookie. Here it lives in this object, for one
 * request, and is opened only when a file is.
 */
class KeylessSession extends Session {
	/** @var callable(): bool */
	private $isRemote;
	/** @var callable(): string */
	private $open;
	private ?bool $active = null;
	private ?string $key = null;
	private ?string $decryptAllKey = null;

	/**
	 * @param callable(): bool $isRemote is the master key kept on the key server? If not, this is the parent.
	 * @param callable(): string $open the decrypted master key
	 */
	public function __construct(ISession $session, callable $isRemote, callable $open) {
		parent::__construct($session);
		$this->isRemote = $isRemote;
		$this->open = $open;
	}

	public function getPrivateKey(): string {
		if (!$this->isActive()) {
			return parent::getPrivateKey();
		}
		return $this->key ??= ($this->open)();
	}

	public function isPrivateKeySet(): bool {
		return $this->isActive() || parent::isPrivateKeySet();
	}

	/** @param string $key */
	public function setPrivateKey(#[\SensitiveParameter] $key): void {
		if ($this->isActive()) {
			$this->key = $key;
		} else {
			parent::setPrivateKey($key);
		}
	}

	/**
	 * @param string $user
	 * @param string $key
	 */
	public function prepareDecryptAll($user, #[\SensitiveParameter] $key): void {
		if ($this->isActive()) {
			$this->session->set('decryptAll', true);
			$this->session->set('decryptAllUid', $user);
			$this->decryptAllKey = $key;
		} else {
			parent::prepareDecryptAll($user, $key);
		}
	}

	public function getDecryptAllKey(): string {
		return $this->decryptAllKey ?? parent::getDecryptAllKey();
	}

	public function clear(): void {
		$this->key = null;
		$this->decryptAllKey = null;
		parent::clear();
	}

	private function isActive(): bool {
		if ($this->active === null) {
			$this->active = ($this->isRemote)();
			if ($this->active) {
				$this->forgetStoredKeys();
			}
		}
		return $this->active;
	}

	/** Sessions from before the keys were moved still hold them. */
	private function forgetStoredKeys(): void {
		foreach (['privateKey', 'publicSharePrivateKey', 'decryptAllKey'] as $name) {
			if ($this->session->exists($name)) {
				$this->session->remove($name);
			}
		}
	}

	/** @return array<string, mixed> */
	public function __debugInfo(): array {
		return [];
	}
}

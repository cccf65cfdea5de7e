<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCP\Encryption\Exceptions {
	class GenericEncryptionException extends \Exception {
		private string $hint;

		public function __construct($message = '', $hint = '', $code = 0, ?\Exception $previous = null) {
			parent::__construct($message, $code, $previous);
			$this->hint = $hint;
		}

		public function getHint(): string {
			return $this->hint;
		}
	}
}

namespace OCP {
	interface IConfig {
		public function getSystemValue($key, $default = '');
	}

	interface ISession {
		public function set(string $key, $value);

		public function get(string $key);

		public function exists(string $key): bool;

		public function remove(string $key);
	}
}

namespace OCP\Security {
	interface ICrypto {
	}
}

namespace OC\Files {
	class View {
	}
}

namespace OC\Encryption {
	class Util {
	}
}

namespace OCP\Encryption\Keys {
	interface IStorage {
	}
}

namespace OC\Encryption\Keys {
	/** Nextcloud's own key storage, as an array. */
	class Storage implements \OCP\Encryption\Keys\IStorage {
		/** @var array<string, string> */
		public array $disk = [];

		public function __construct($view, $util, $crypto, $config) {
		}

		public function getSystemUserKey($keyId, $encryptionModuleId) {
			return $this->disk[$keyId] ?? '';
		}

		public function setSystemUserKey($keyId, $key, $encryptionModuleId) {
			$this->disk[$keyId] = $key;
			return true;
		}

		public function deleteSystemUserKey($keyId, $encryptionModuleId) {
			unset($this->disk[$keyId]);
			return true;
		}
	}
}

namespace OCA\Encryption {
	class PrivateKeyMissing extends \Exception {
	}

	/** As in Nextcloud 28: without types. */
	class Session {
		protected $session;

		public function __construct(\OCP\ISession $session) {
			$this->session = $session;
		}

		public function getPrivateKey() {
			$key = $this->session->get('privateKey');
			if ($key === null) {
				throw new PrivateKeyMissing();
			}
			return $key;
		}

		public function isPrivateKeySet() {
			return $this->session->get('privateKey') !== null;
		}

		public function setPrivateKey($key) {
			$this->session->set('privateKey', $key);
		}

		public function prepareDecryptAll($user, $key) {
			$this->session->set('decryptAll', true);
			$this->session->set('decryptAllKey', $key);
			$this->session->set('decryptAllUid', $user);
		}

		public function getDecryptAllKey() {
			return $this->session->get('decryptAllKey') ?? throw new PrivateKeyMissing();
		}

		public function clear() {
			foreach (['publicSharePrivateKey', 'privateKey', 'decryptAll', 'decryptAllKey', 'decryptAllUid'] as $name) {
				$this->session->remove($name);
			}
		}
	}
}

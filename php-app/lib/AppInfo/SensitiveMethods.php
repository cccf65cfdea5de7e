<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

/**
 * Methods whose arguments Nextcloud must not write into its log. Its own list misses them: with
 * `zend.exception_ignore_args=Off` a failing legacy decryption logs the whole master key.
 */
class SensitiveMethods {
	/** @return array<class-string, list<string>> */
	public static function all(): array {
		return [
			'OCA\Encryption\Crypto\Crypt' => [
				'multiKeyDecrypt', 'multiKeyDecryptLegacy', 'multiKeyEncrypt', 'opensslOpen', 'opensslSeal',
				'rc4Decrypt', 'rc4Encrypt', 'decryptPrivateKey', 'encryptPrivateKey', 'isValidPrivateKey',
				'symmetricDecryptFileContent', 'symmetricEncryptFileContent', 'generatePasswordHash', 'createSignature',
				'checkSignature', 'decrypt', 'encrypt', 'parseHeader', 'splitMetaData', 'hasSignature',
			],
			'OCA\Encryption\KeyManager' => [
				'setSystemPrivateKey', 'setPrivateKey', 'setRecoveryKey', 'storeKeyPair', 'setFileKey', 'setAllFileKeys',
				'setShareKey', 'init', 'checkRecoveryPassword',
			],
			'OCA\Encryption\Session' => ['setPrivateKey', 'prepareDecryptAll'],
			'OCA\Encryption\Recovery' => ['enableAdminRecovery', 'changeRecoveryKeyPassword', 'recoverUsersFiles'],
			'OCA\Encryption\Crypto\DecryptAll' => ['updateSession', 'getPrivateKey'],
			'OCA\RemoteKeyStorage\Session\KeylessSession' => ['setPrivateKey', 'prepareDecryptAll'],
			'OC\Encryption\Keys\Storage' => ['setUserKey', 'setFileKey', 'setSystemUserKey', 'setKey'],
			'OCA\RemoteKeyStorage\Storage\RemoteKeyStorage' => ['setSystemUserKey', 'writeLocalSystemUserKey'],
			'OCA\RemoteKeyStorage\Storage\KeySource' => ['fetch'],
			'OCA\RemoteKeyStorage\Host' => ['at', 'cheapToOpen'],
			'OCA\RemoteKeyStorage\Cache\Rewrap' => ['__construct', 'open', 'rewrap', 'isBlob', 'split', 'sign'],
			'OCA\RemoteKeyStorage\Cache\Entry' => ['__construct', 'parse'],
			'OCA\RemoteKeyStorage\Cache\ApcuStore' => ['set'],
			'OCA\RemoteKeyStorage\Cache\TmpfsStore' => ['set'],
			'OCA\RemoteKeyStorage\Cache\ProcessStore' => ['set'],
			'OCA\RemoteKeyStorage\State\StateFolder' => ['write'],
			'OCA\RemoteKeyStorage\State\CertificateRequest' => ['__construct'],
			'OCA\RemoteKeyStorage\State\Credentials' => ['__construct', 'withSecrets'],
			'OCA\RemoteKeyStorage\State\LinkState' => ['start', 'initialJson', 'store', 'encode'],
			'OCA\RemoteKeyStorage\Wire\Encoding' => ['toBase64Url', 'fromBase64Url', 'fromBase64', 'fromBase32'],
			'OCA\RemoteKeyStorage\Wire\Totp' => ['code'],
			'OCA\RemoteKeyStorage\Wire\Link' => ['__construct', 'parse'],
			'OCA\RemoteKeyStorage\Wire\Answer' => ['__construct', 'parse', 'problem'],
			'OCA\RemoteKeyStorage\Wire\Transport' => ['send', 'set'],
			'OCA\RemoteKeyStorage\Wire\Enroller' => ['enroll'],
			'OCA\RemoteKeyStorage\Wire\ReleaseClient' => ['putKey', 'put', 'adopt'],
			'OC\Files\View' => ['file_put_contents'],
			'OC\Session\CryptoSessionData' => ['set'],
			'OC\Session\Internal' => ['set'],
			'OC\Session\Memory' => ['set'],
		];
	}
}

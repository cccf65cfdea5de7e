<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OC\Files\Storage\Wrapper\Wrapper;
use OCA\Encryption\Crypto\Crypt;
use OCP\DB\QueryBuilder\IQueryBuilder;
use OCP\Encryption\Keys\IStorage;
use OCP\Files\File;
use OCP\Files\IRootFolder;
use OCP\IDBConnection;

/**
 * A few of the encrypted files of this server, decrypted from their raw bytes with a master key that is handed in,
 * and compared with what Nextcloud itself reads.
 */
final class SampleFiles {
	private const MODULE = 'OC_DEFAULT_MODULE';

	private IDBConnection $database;
	private IRootFolder $root;
	private IStorage $keys;

	public function __construct(IDBConnection $database, IRootFolder $root, IStorage $keys) {
		$this->database = $database;
		$this->root = $root;
		$this->keys = $keys;
	}

	/**
	 * Encrypted files in the homes of users, half of them the oldest and half the newest.
	 *
	 * @return list<string> /user/files/…
	 */
	public function choose(int $count): array {
		$paths = [];
		foreach (['ASC', 'DESC'] as $order) {
			$query = $this->database->getQueryBuilder();
			$query->select('f.path', 's.id')
				->from('filecache', 'f')
				->innerJoin('f', 'storages', 's', $query->expr()->eq('f.storage', 's.numeric_id'))
				->where($query->expr()->gt('f.encrypted', $query->createNamedParameter(0, IQueryBuilder::PARAM_INT)))
				->andWhere($query->expr()->gt('f.size', $query->createNamedParameter(0, IQueryBuilder::PARAM_INT)))
				->andWhere($query->expr()->like('f.path', $query->createNamedParameter('files/%')))
				->orderBy('f.fileid', $order)
				->setMaxResults(4 * $count);
			$result = $query->executeQuery();
			$found = 0;
			while ($found < intdiv($count + 1, 2) && ($row = $result->fetch()) !== false) {
				if (preg_match('/\A(?:home::|object::user:)(.+)\z/s', (string)$row['id'], $match) === 1) {
					$paths['/' . $match[1] . '/' . $row['path']] = true;
					$found++;
				}
			}
			$result->closeCursor();
		}
		return array_slice(array_map('strval', array_keys($paths)), 0, $count);
	}

	/** Whether Nextcloud itself can read the beginning of this file now. */
	public function reads(string $path): bool {
		$node = $this->node($path);
		return $node !== null && $this->stockStart($node, EncryptedHeader::BLOCK) !== null;
	}

	/**
	 * @param string $path /user/files/…
	 * @param string $owner master key id without `.privateKey`
	 * @param string $private opened private master key, PEM
	 * @param bool $asNextcloud compare with what Nextcloud reads at this moment; otherwise the file's own signature decides
	 * @return bool|null null when this file says nothing about the key (not there, no header, damaged before)
	 */
	public function compare(string $path, string $owner, #[\SensitiveParameter] string $private, bool $asNextcloud): ?bool {
		$node = $this->node($path);
		if ($node === null) {
			return null;
		}
		$raw = $this->rawStart($node);
		$header = $raw === null ? null : EncryptedHeader::parse($raw);
		if ($raw === null || $header === null || ($header['oc_encryption_module'] ?? '') !== self::MODULE) {
			return null;
		}
		$plain = $this->plainStart($path, $owner, $private, $header, $raw, $this->version($node));
		if (!$asNextcloud) {
			return $plain !== null && ($header['signed'] ?? '') === 'true' ? true : null;
		}
		$stock = $this->stockStart($node, $plain === null ? 1 : strlen($plain));
		if ($plain === null || $stock === null) {
			// unreadable either way is older damage and says nothing about the key
			return $plain === $stock ? null : false;
		}
		return hash_equals(hash('sha256', $stock), hash('sha256', $plain));
	}

	/**
	 * @param array<string, string> $header
	 * @return string|null what the first block holds, null when this key does not open it
	 */
	private function plainStart(
		string $path,
		string $owner,
		#[\SensitiveParameter]
		string $private,
		array $header,
		string $raw,
		int $version
	): ?string {
		try {
			$fileKey = $this->fileKey($path, $owner, $private, ($header['useLegacyFileKey'] ?? '') !== 'false');
			$plain = $this->decryptFirst((string)substr($raw, EncryptedHeader::BLOCK), $header, $fileKey, $version);
		} catch (\Throwable $error) {
			return null;
		}
		return $plain === '' ? null : $plain;
	}

	/** @return string|null the beginning of the file as Nextcloud reads it now, null when it cannot */
	private function stockStart(File $node, int $bytes): ?string {
		try {
			$handle = $node->fopen('r');
			if (!is_resource($handle)) {
				return null;
			}
			$read = stream_get_contents($handle, $bytes);
			fclose($handle);
		} catch (\Throwable $error) {
			return null;
		}
		return $read === false || $read === '' ? null : $read;
	}

	private function node(string $path): ?File {
		[, $user, , $inner] = explode('/', $path, 4) + [1 => '', 2 => '', 3 => ''];
		try {
			$node = $this->root->getUserFolder($user)->get($inner);
		} catch (\Throwable $error) {
			return null;
		}
		return $node instanceof File ? $node : null;
	}

	/** Header and first block as they lie in the storage, below Nextcloud's encryption. */
	private function rawStart(File $node): ?string {
		$storage = $node->getStorage();
		while ($storage instanceof Wrapper) {
			$inner = $storage->getWrapperStorage();
			if ($inner === null) {
				return null;
			}
			$storage = $inner;
		}
		$handle = $storage->fopen($node->getInternalPath(), 'r');
		if (!is_resource($handle)) {
			return null;
		}
		$raw = stream_get_contents($handle, 2 * EncryptedHeader::BLOCK);
		fclose($handle);
		return $raw === false ? null : $raw;
	}

	private function version(File $node): int {
		$entry = $node->getStorage()->getCache()->get($node->getInternalPath());
		return $entry === false ? 0 : (int)($entry['encryptedVersion'] ?? 0);
	}

	private function fileKey(string $path, string $owner, #[\SensitiveParameter] string $private, bool $mayBeLegacy): string {
		$crypt = \OCP\Server::get(Crypt::class);
		$shareKey = $this->keys->getFileKey($path, $owner . '.shareKey', self::MODULE);
		$sealed = $mayBeLegacy ? $this->keys->getFileKey($path, 'fileKey', self::MODULE) : '';
		return $sealed !== ''
			? $crypt->multiKeyDecryptLegacy($sealed, $shareKey, $private)
			: $crypt->multiKeyDecrypt($shareKey, $private);
	}

	/** @param array<string, string> $header */
	private function decryptFirst(string $block, array $header, #[\SensitiveParameter] string $fileKey, int $version): string {
		$crypt = \OCP\Server::get(Crypt::class);
		$binary = ($header['encoding'] ?? '') === Crypt::BINARY_ENCODING_FORMAT;
		$cipher = $header['cipher'] ?? '';
		// the signature of a file's last block covers "0end" instead of "0"
		try {
			return (string)$crypt->symmetricDecryptFileContent($block, $fileKey, $cipher, $version, '0', $binary);
		} catch (\Throwable $error) {
			return (string)$crypt->symmetricDecryptFileContent($block, $fileKey, $cipher, $version, '0end', $binary);
		}
	}
}

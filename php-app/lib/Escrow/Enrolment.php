<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Wire\ReleaseClient;
use OCP\IConfig;

/**
 * Spends an enrolment code and stores what this host is from then on. client.json comes last: until it is there the
 * host is not enrolled, and Nextcloud behaves as if this app were not installed.
 */
final class Enrolment {
	private const LOCK_SECONDS = 10.0;

	private IConfig $config;
	private KeysOnDisk $disk;
	private string $data;

	/** @param string $data data directory */
	public function __construct(IConfig $config, KeysOnDisk $disk, string $data) {
		$this->config = $config;
		$this->disk = $disk;
		$this->data = $data;
	}

	/** The state folder in use, or the one that would be. */
	public function folder(?string $asked): string {
		$named = $this->config->getSystemValueString(Host::CONFIG_DIR, '');
		$default = '/var/lib/latchkey/' . $this->config->getSystemValueString('instanceid', '');
		return rtrim($asked ?? ($named === '' ? $default : $named), '/');
	}

	/**
	 * @param list<string> $urls
	 * @param string $ca PEM, from the same hand as the code
	 * @return array{clientId: string, keys: list<string>}
	 * @throws Failure
	 */
	public function enroll(string $dir, array $urls, #[\SensitiveParameter] string $code, string $ca, bool $replace): array {
		$config = (string)(getenv('NEXTCLOUD_CONFIG_DIR') ?: \OC::$SERVERROOT . '/config');
		FolderRules::assertAllowed($dir, [\OC::$SERVERROOT, $this->data, $config]);
		try {
			$host = Host::at($dir);
			$folder = $host->folder();
			$folder->assertUsable();
			$before = $this->before($host, $replace);
			// fails here, while nothing is spent, when config.php is read-only
			if ($this->config->getSystemValueString(Host::CONFIG_DIR, '') !== $dir) {
				$this->config->setSystemValue(Host::CONFIG_DIR, $dir);
			}
			$local = $this->disk->ids();
			$given = ReleaseClient::enroll($urls, $code, $ca, $this->config->getSystemValueString('instanceid', ''));
			$keys = Adoption::keys($before === null ? [] : $before->keys(), $given['keys'], $local);
			$lock = $folder->lock(self::LOCK_SECONDS);
			try {
				$folder->write('ca.pem', $ca);
				$host->links()->start($given['link'], (int)floor(microtime(true) * 1000));
				$credentials = new Credentials(
					$urls,
					$given['clientId'],
					$given['token'],
					$given['totpSecret'],
					Adoption::masterKeyId($before === null ? null : $before->masterKeyId(), $keys),
					$keys,
				);
				$credentials->save($folder);
			} finally {
				$lock->release();
			}
			$host->breaker()->reset();
			$host->purgeMarker()->raise();
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
		return ['clientId' => $given['clientId'], 'keys' => $keys];
	}

	private function before(Host $host, bool $replace): ?Credentials {
		try {
			$before = Credentials::load($host->folder());
		} catch (StateError $error) {
			if (!$replace) {
				throw $error;
			}
			return null;
		}
		if ($before !== null && !$replace) {
			throw new Failure(
				'already_enrolled',
				'this server is enrolled as ' . $before->clientId(),
				'send "replace": true with a new code to enrol it again; its moved keys stay moved',
			);
		}
		return $before;
	}
}

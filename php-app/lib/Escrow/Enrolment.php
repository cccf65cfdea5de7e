<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\CertificateRequest;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Wire\Enroller;

/**
 * Spends an enrolment code and stores what this host is from then on. client.json comes last: until it is there the
 * host is not enrolled, and Nextcloud behaves as if this app were not installed.
 */
final class Enrolment {
	private const LOCK_SECONDS = 10.0;

	private KeysOnDisk $disk;
	private string $instanceId;
	/** @var list<string> */
	private array $forbidden;
	/** @var callable(string): void */
	private $remember;
	private string $reserved;

	/**
	 * @param list<string> $forbidden folders that credentials must not be in
	 * @param callable(string): void $remember writes the state folder's path to config.php; throws when it cannot
	 * @param string $reserved one path directly in such a folder that they may be in
	 */
	public function __construct(KeysOnDisk $disk, string $instanceId, array $forbidden, callable $remember, string $reserved = '') {
		$this->disk = $disk;
		$this->instanceId = $instanceId;
		$this->forbidden = $forbidden;
		$this->remember = $remember;
		$this->reserved = $reserved;
	}

	/**
	 * @param list<string> $urls
	 * @param string $ca PEM, from the same hand as the code
	 * @return array{clientId: string, keys: list<string>}
	 * @throws Failure
	 */
	public function enroll(string $dir, array $urls, #[\SensitiveParameter] string $code, string $ca, bool $replace): array {
		FolderRules::assertAllowed($dir, $this->forbidden, $this->reserved);
		try {
			$host = Host::at($dir);
			$folder = $host->folder();
			$folder->assertUsable();
			$before = $this->before($host, $replace);
			// fails here, while nothing is spent, when config.php is read-only
			($this->remember)($dir);
			$local = $this->disk->ids();
			$request = CertificateRequest::make();
			$given = Enroller::enroll($urls, $code, $ca, $this->instanceId, $request);
			$keys = Adoption::keys($before === null ? [] : $before->keys(), $given['keys'], $local);
			$lock = $folder->lock(self::LOCK_SECONDS);
			try {
				$folder->write('ca.pem', $given['ca']);
				$this->keepCertificate($host, $request, $given['certificate']);
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
			$host->rollback()->dismiss();
			$host->purgeMarker()->raise();
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
		return ['clientId' => $given['clientId'], 'keys' => $keys];
	}

	private function keepCertificate(Host $host, CertificateRequest $request, ?string $certificate): void {
		if ($certificate === null) {
			$host->certificate()->remove();
		} else {
			$host->certificate()->store($request, $certificate);
		}
		$host->renewals()->succeeded();
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

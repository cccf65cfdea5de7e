<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCA\RemoteKeyStorage\Host;
use OCP\App\IAppManager;
use OCP\Encryption\Keys\IStorage;
use OCP\Files\IRootFolder;
use OCP\IConfig;
use OCP\IDBConnection;
use OCP\IGroupManager;
use OCP\IUserManager;
use OCP\Security\ICrypto;

/** Puts the parts together for commands and pages, so that none of them is built before it is needed. */
class Workshop {
	private IConfig $config;
	private ?Host $host = null;
	private ?StockKeys $disk = null;
	private ?NextcloudProof $proof = null;

	public function __construct(IConfig $config) {
		$this->config = $config;
	}

	/** The host config.php names, null when it names none. */
	public function host(): ?Host {
		if ($this->host === null) {
			$this->host = Host::fromConfig($this->config);
		}
		return $this->host;
	}

	/** @throws Failure `not_enrolled` */
	public function enrolledHost(): Host {
		$host = $this->host();
		try {
			if ($host === null || $host->credentials() === null) {
				throw ClientFile::notEnrolled();
			}
		} catch (\Throwable $error) {
			throw Failure::from($error);
		}
		return $host;
	}

	public function disk(): StockKeys {
		return $this->disk ??= new StockKeys(
			$this->config,
			\OCP\Server::get(IUserManager::class),
			\OCP\Server::get(IGroupManager::class),
			\OCP\Server::get(ICrypto::class),
		);
	}

	public function moved(): ClientFile {
		return new ClientFile($this->host());
	}

	public function proof(): NextcloudProof {
		return $this->proof ??= new NextcloudProof($this->config, $this->disk(), $this->samples());
	}

	public function samples(): SampleFiles {
		return new SampleFiles(
			\OCP\Server::get(IDBConnection::class),
			\OCP\Server::get(IRootFolder::class),
			\OCP\Server::get(IStorage::class),
		);
	}

	public function surroundings(): Surroundings {
		return new Surroundings($this->config, $this->disk());
	}

	/** @throws Failure `not_enrolled` */
	public function escrow(): Escrow {
		return new Escrow($this->disk(), new KeyServer($this->enrolledHost()), $this->moved(), $this->proof());
	}

	/** Without an enrolment too: the owner's copy alone is enough to restore. */
	public function restore(): Restore {
		$host = $this->host();
		return new Restore(
			$this->disk(),
			$host === null ? new NoKeyServer() : new KeyServer($host),
			$this->moved(),
			$this->proof(),
		);
	}

	public function preflight(): Preflight {
		return new Preflight(
			$this->config,
			\OCP\Server::get(IAppManager::class),
			$this->disk(),
			$this->moved(),
			$this->proof(),
			$this->samples(),
			$this->surroundings(),
			$this->host(),
		);
	}

	public function enrolment(): Enrolment {
		$config = getenv('NEXTCLOUD_CONFIG_DIR');
		$instanceId = $this->config->getSystemValueString('instanceid', '');
		$data = $this->surroundings()->dataDirectory();
		return new Enrolment(
			$this->disk(),
			$instanceId,
			[
				\OC::$SERVERROOT,
				$data,
				$config === false || $config === '' ? \OC::$SERVERROOT . '/config' : $config,
			],
			function (string $dir): void {
				if ($this->config->getSystemValueString(Host::CONFIG_DIR, '') !== $dir) {
					$this->config->setSystemValue(Host::CONFIG_DIR, $dir);
				}
			},
			// no user's: where a container keeps nothing but the data, as AIO's does
			$data . '/.latchkey-' . $instanceId,
		);
	}

	/** @throws Failure `not_enrolled` */
	public function serverUrls(): ServerUrls {
		return new ServerUrls($this->enrolledHost());
	}

	/** The state folder asked for, else the one in use, else the one that would be. */
	public function stateFolder(?string $asked): string {
		$named = $this->config->getSystemValueString(Host::CONFIG_DIR, '');
		$default = '/var/lib/latchkey/' . $this->config->getSystemValueString('instanceid', '');
		return rtrim($asked ?? ($named === '' ? $default : $named), '/');
	}

	public function report(): Report {
		return new Report($this->config, $this->disk(), $this->host());
	}
}

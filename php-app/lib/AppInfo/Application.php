<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\Storage\RemoteKeyStorage;
use OCA\RemoteKeyStorage\Storage\WriteGuard;
use OCP\AppFramework\App;
use OCP\AppFramework\Bootstrap\IBootContext;
use OCP\AppFramework\Bootstrap\IBootstrap;
use OCP\AppFramework\Bootstrap\IRegistrationContext;
use OCP\Encryption\Keys\IStorage;
use OCP\IConfig;
use Psr\Container\ContainerInterface;
use Psr\Log\LoggerInterface;

/**
 * Nextcloud runs register() first in every entry point, in maintenance mode and during upgrades too; that is where the
 * key storage is replaced. Nothing here reads a key, the state folder or the network.
 */
class Application extends App implements IBootstrap {
	public const APP_ID = 'remotekeystorage';

	public function __construct(array $urlParams = []) {
		parent::__construct(self::APP_ID, $urlParams);
	}

	public function register(IRegistrationContext $context): void {
		foreach (SensitiveMethods::all() as $class => $methods) {
			$this->step('methods were not registered as sensitive', static function () use ($context, $class, $methods): void {
				$context->registerSensitiveMethods($class, $methods);
			});
		}
		$server = \OCP\Server::get(ContainerInterface::class);
		// a remote key is refused from here on if this did not work: it would end up in a session file
		$this->step('sessions are not kept free of the key', static function () use ($server): void {
			if ((new SessionGuard($server))->install()) {
				HookState::sessionsInstalled();
			}
		});
		$this->step('the key storage is not replaced', static function () use ($server): void {
			$server->registerService(
				IStorage::class,
				static fn (ContainerInterface $container): IStorage => RemoteKeyStorage::build($container)
			);
			HookState::storageInstalled('app');
		});
		$this->step('files are not guarded from being emptied while there is no key', static function () use ($server): void {
			WriteGuard::install($server);
		}, false);
		foreach (['KeyServerCheck', 'ExposureCheck'] as $check) {
			$class = 'OCA\\RemoteKeyStorage\\SetupChecks\\' . $check;
			$this->step('a setup check is missing', static function () use ($context, $class): void {
				$context->registerSetupCheck($class);
			}, false);
		}
	}

	public function boot(IBootContext $context): void {
		try {
			$host = Host::fromConfig($context->getAppContainer()->get(IConfig::class));
			if ($host !== null) {
				$host->cache()->sweep();
			}
		} catch (\Throwable $e) {
			// what is wrong with the state folder is said where a key is asked for
		}
	}

	/**
	 * The site must come up whatever happens here; that something is missing is in the log and in HookState.
	 *
	 * @param bool $isVital must keys be refused without it?
	 */
	private function step(string $failure, callable $work, bool $isVital = true): void {
		try {
			$work();
		} catch (\Throwable $e) {
			if ($isVital) {
				HookState::failed($failure, $e);
			}
			\OCP\Server::get(LoggerInterface::class)->emergency('remote key storage: ' . $failure, [
				'app' => self::APP_ID,
				'exception' => $e,
			]);
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

use OCP\AppFramework\App;
use OCP\AppFramework\Bootstrap\IBootContext;
use OCP\AppFramework\Bootstrap\IBootstrap;
use OCP\AppFramework\Bootstrap\IRegistrationContext;
use Psr\Container\ContainerInterface;

/**
 * Nextcloud runs register() first in every entry point, in maintenance mode and during upgrades too; that is where the
 * key storage is replaced, unless a patched Server.php has done so. Nothing here reads a key, the state folder or the
 * network.
 */
class Application extends App implements IBootstrap {
	public const APP_ID = 'remotekeystorage';

	public function __construct(array $urlParams = []) {
		parent::__construct(self::APP_ID, $urlParams);
	}

	public function register(IRegistrationContext $context): void {
		$hook = new Hook(\OCP\Server::get(ContainerInterface::class));
		$hook->hideArguments($context);
		$hook->freeSessions();
		$hook->replaceStorage('app');
		$hook->guardFiles();
		foreach (['KeyServerCheck', 'ExposureCheck'] as $check) {
			$class = 'OCA\\RemoteKeyStorage\\SetupChecks\\' . $check;
			$hook->once($class, 'a setup check is missing', static function () use ($context, $class): bool {
				$context->registerSetupCheck($class);
				return true;
			}, false);
		}
	}

	public function boot(IBootContext $context): void {
		(new Hook($context->getAppContainer()->get(ContainerInterface::class)))->sweepCache();
	}
}

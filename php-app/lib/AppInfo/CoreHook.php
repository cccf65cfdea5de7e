<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

use OC\AppFramework\Bootstrap\Coordinator;
use OCA\Encryption\AppInfo\Application as EncryptionApplication;
use OCA\RemoteKeyStorage\Storage\RemoteKeyStorage;
use OCP\Encryption\Keys\IStorage;
use Psr\Container\ContainerInterface;

/**
 * The hook of a Nextcloud whose Server.php was patched. It does not depend on the app being switched on; where it is, the
 * app finds everything in place.
 */
class CoreHook {
	/**
	 * From the constructor of the server's container, before there is a configuration, a log or any app. The rest waits
	 * for the encryption app, which Nextcloud makes through this container, or for the first who asks for keys.
	 */
	public static function install(ContainerInterface $server): void {
		$server->registerService(EncryptionApplication::class, static function () use ($server): EncryptionApplication {
			$application = new EncryptionApplication();
			self::hideArguments($server);
			// SessionGuard asks for what is being made here
			$server->registerService(EncryptionApplication::class, static fn (): EncryptionApplication => $application);
			$hook = new Hook($server);
			$hook->freeSessions();
			$hook->guardFiles();
			return $application;
		});
		$server->registerService(IStorage::class, static function () use ($server): IStorage {
			$hook = new Hook($server);
			self::hideArguments($server);
			$hook->freeSessions();
			$hook->guardFiles();
			$hook->sweepCache();
			return RemoteKeyStorage::build($server);
		});
		HookState::storageInstalled('core');
	}

	private static function hideArguments(ContainerInterface $server): void {
		$hook = new Hook($server);
		$hook->once('context', 'methods were not registered as sensitive', static function () use ($server, $hook): bool {
			$context = $server->get(Coordinator::class)->getRegistrationContext();
			if ($context === null) {
				throw new \LogicException('keys are asked for before apps are registered');
			}
			$hook->hideArguments($context->for('remotekeystorage'));
			return true;
		});
	}
}

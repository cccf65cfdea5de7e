<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\Storage\RemoteKeyStorage;
use OCA\RemoteKeyStorage\Storage\WriteGuard;
use OCP\AppFramework\Bootstrap\IRegistrationContext;
use OCP\Encryption\Keys\IStorage;
use OCP\IConfig;
use Psr\Container\ContainerInterface;
use Psr\Log\LoggerInterface;

/**
 * What makes up the hook. Each part is put in once in a process, by whoever comes first: the patched Server.php or the
 * app. The site must come up whatever happens here; that something is missing is in the log and in HookState.
 */
class Hook {
	/** @var array<string, true> */
	private static array $parts = [];

	private ContainerInterface $server;

	public function __construct(ContainerInterface $server) {
		$this->server = $server;
	}

	public function hideArguments(IRegistrationContext $context): void {
		$this->once('arguments', 'methods were not registered as sensitive', static function () use ($context): bool {
			foreach (SensitiveMethods::all() as $class => $methods) {
				$context->registerSensitiveMethods($class, $methods);
			}
			return true;
		});
	}

	/** Does nothing while the encryption app is switched off; a web server is given no key then. */
	public function freeSessions(): void {
		// a remote key is refused from here on if this did not work: it would end up in a session file
		$this->once('sessions', 'sessions are not kept free of the key', function (): bool {
			$isInstalled = (new SessionGuard($this->server))->install();
			if ($isInstalled) {
				HookState::sessionsInstalled();
			}
			return $isInstalled;
		});
	}

	public function guardFiles(): void {
		$this->once('files', 'files are not guarded from being emptied while there is no key', function (): bool {
			WriteGuard::install($this->server);
			return true;
		}, false);
	}

	/** @param 'app'|'core' $by */
	public function replaceStorage(string $by): void {
		if (HookState::hook() !== 'off') {
			return;
		}
		$this->once('storage', 'the key storage is not replaced', function () use ($by): bool {
			$this->server->registerService(
				IStorage::class,
				static fn (ContainerInterface $container): IStorage => RemoteKeyStorage::build($container)
			);
			HookState::storageInstalled($by);
			return true;
		});
	}

	/** Drops what lies in RAM beyond its time. What is wrong with the state folder is said where a key is asked for. */
	public function sweepCache(): void {
		$this->once('cache', 'keys were left in RAM beyond their time', function (): bool {
			try {
				$host = Host::fromConfig($this->server->get(IConfig::class));
				if ($host !== null) {
					$host->cache()->sweep();
				}
			} catch (\Throwable $e) {
				return true;
			}
			return true;
		}, false);
	}

	/**
	 * @param callable(): bool $work false when it was too early
	 * @param bool $isVital must keys be refused without it?
	 */
	public function once(string $part, string $failure, callable $work, bool $isVital = true): void {
		if (isset(self::$parts[$part])) {
			return;
		}
		self::$parts[$part] = true;
		try {
			if (!$work()) {
				unset(self::$parts[$part]);
			}
		} catch (\Throwable $e) {
			if ($isVital) {
				HookState::failed($failure, $e);
			}
			$this->server->get(LoggerInterface::class)->emergency('remote key storage: ' . $failure, [
				'app' => 'remotekeystorage',
				'exception' => $e,
			]);
		}
	}
}

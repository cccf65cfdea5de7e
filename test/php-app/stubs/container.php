<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace Psr\Container {
	interface ContainerInterface {
		public function get(string $id);

		public function has(string $id): bool;
	}
}

namespace Psr\Log {
	interface LoggerInterface {
		public function emergency($message, array $context = []): void;
	}
}

namespace OCP {
	interface IDBConnection {
	}

	interface IGroupManager {
	}

	interface IUserManager {
	}

	class Util {
		/** @var list<string> */
		public static array $hooks = [];

		public static function connectHook(string $class, string $signal, $object, string $method): void {
			self::$hooks[] = "$class $signal";
		}
	}
}

namespace OCP\AppFramework\Bootstrap {
	interface IRegistrationContext {
		public function registerSensitiveMethods(string $class, array $methods): void;
	}
}

namespace OCP\AppFramework {
	class App {
		public function __construct(string $appName) {
		}
	}
}

namespace OC\AppFramework\Bootstrap {
	use OCP\AppFramework\Bootstrap\IRegistrationContext;

	/** Nextcloud's, as far as the hook asks it. */
	class Coordinator {
		public ?IRegistrationContext $context = null;

		public function getRegistrationContext(): ?self {
			return $this->context === null ? null : $this;
		}

		public function for(string $appId): IRegistrationContext {
			return $this->context ?? throw new \LogicException();
		}
	}
}

namespace OCA\Encryption\AppInfo {
	use LatchkeyTest\AppInfo\Container;

	/** The encryption app's, with a container of its own. */
	class Application {
		public static int $made = 0;
		private Container $container;

		public function __construct() {
			self::$made++;
			$this->container = new Container();
		}

		public function getContainer(): Container {
			return $this->container;
		}
	}
}

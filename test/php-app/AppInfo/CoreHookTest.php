<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\AppInfo;

use OC\AppFramework\Bootstrap\Coordinator;
use OCA\Encryption\AppInfo\Application as EncryptionApplication;
use OCA\Encryption\Session;
use OCA\RemoteKeyStorage\AppInfo\Hook;
use OCA\RemoteKeyStorage\AppInfo\HookState;
use OCA\RemoteKeyStorage\Session\KeylessSession;
use OCA\RemoteKeyStorage\Storage\RemoteKeyStorage;
use OCP\AppFramework\Bootstrap\IRegistrationContext;
use OCP\Encryption\Keys\IStorage;
use OCP\IConfig;
use OCP\IDBConnection;
use OCP\IGroupManager;
use OCP\ISession;
use OCP\IUserManager;
use OCP\Security\ICrypto;
use OCP\Util;
use PHPUnit\Framework\TestCase;
use Psr\Log\LoggerInterface;

final class CoreHookTest extends TestCase {
	private Container $server;
	private Coordinator $coordinator;
	private IRegistrationContext $context;
	/** @var list<string> */
	public array $logged = [];

	protected function setUp(): void {
		self::forget();
		$this->context = new class implements IRegistrationContext {
			/** @var list<string> */
			public array $classes = [];

			public function registerSensitiveMethods(string $class, array $methods): void {
				$this->classes[] = $class;
			}
		};
		$this->coordinator = new Coordinator();
		$this->coordinator->context = $this->context;
		$this->server = new Container();
		$this->server->registerService(Coordinator::class, fn () => $this->coordinator);
		$logger = $this->createMock(LoggerInterface::class);
		$logger->method('emergency')->willReturnCallback(function ($message): void {
			$this->logged[] = $message;
		});
		$this->server->registerService(LoggerInterface::class, static fn () => $logger);
		foreach ([IConfig::class, ICrypto::class, IUserManager::class, IGroupManager::class, IDBConnection::class, ISession::class] as $class) {
			$mock = $this->createMock($class);
			$this->server->registerService($class, static fn () => $mock);
		}
	}

	protected function tearDown(): void {
		self::forget();
	}

	public static function forget(): void {
		(new \ReflectionClass(Hook::class))->setStaticPropertyValue('parts', []);
		$state = new \ReflectionClass(HookState::class);
		foreach (['hook' => 'off', 'sessions' => false, 'failure' => null] as $name => $value) {
			$state->setStaticPropertyValue($name, $value);
		}
		Util::$hooks = [];
		EncryptionApplication::$made = 0;
	}

	private function load(): void {
		(require dirname(__DIR__, 3) . '/php-app/core-hook.php')($this->server);
	}

	public function testItAsksForNothingBeforeNextcloudDoes(): void {
		$this->load();
		$this->assertSame('core', HookState::hook());
		$this->assertSame(0, EncryptionApplication::$made);
		$this->assertSame([], Util::$hooks);
		$this->assertNotNull(HookState::risk('fpm-fcgi'), 'no key for a web server yet');
	}

	public function testTheKeyStorageIsOursAndBringsAllTheRest(): void {
		$this->load();
		$this->assertInstanceOf(RemoteKeyStorage::class, $this->server->get(IStorage::class));
		$encryption = $this->server->get(EncryptionApplication::class)->getContainer();
		$this->assertInstanceOf(KeylessSession::class, $encryption->get(Session::class));
		$this->assertContains('OCA\Encryption\Crypto\Crypt', $this->context->classes);
		$this->assertSame(['OC_Filesystem preSetup'], Util::$hooks);
		$this->assertNull(HookState::risk('fpm-fcgi'));
		$this->assertSame([], $this->logged);
	}

	public function testTheEncryptionAppComesWithAKeylessSessionBeforeAnybodyAsksForKeys(): void {
		$this->load();
		$encryption = $this->server->get(EncryptionApplication::class)->getContainer();
		$this->assertInstanceOf(KeylessSession::class, $encryption->get(Session::class));
		$this->server->get(IStorage::class);
		$this->assertSame(1, EncryptionApplication::$made);
		$this->assertSame(['OC_Filesystem preSetup'], Util::$hooks);
		$this->assertSame(count(array_unique($this->context->classes)), count($this->context->classes));
	}

	public function testAnAppThatIsOnTooPutsNothingInTwice(): void {
		$this->load();
		$this->server->get(EncryptionApplication::class);
		$storage = $this->server->get(IStorage::class);
		$classes = $this->context->classes;
		$hook = new Hook($this->server);
		$hook->hideArguments($this->context);
		$hook->freeSessions();
		$hook->replaceStorage('app');
		$hook->guardFiles();
		$this->assertSame($storage, $this->server->get(IStorage::class));
		$this->assertSame('core', HookState::hook());
		$this->assertSame(['OC_Filesystem preSetup'], Util::$hooks);
		$this->assertSame($classes, $this->context->classes);
	}

	public function testASessionThatWasMadeBeforeMeansNoKeys(): void {
		$this->load();
		$application = new EncryptionApplication();
		$application->getContainer()->registerService(Session::class, static fn () => new \stdClass());
		$this->server->registerService(EncryptionApplication::class, static fn () => $application);
		$this->server->get(IStorage::class);
		foreach (['fpm-fcgi', 'cli'] as $sapi) {
			$this->assertStringStartsWith('sessions are not kept free of the key', (string)HookState::risk($sapi));
		}
		$this->assertCount(1, $this->logged);
	}

	public function testKeysAskedForBeforeAppsAreRegisteredAreRefusedFromThenOn(): void {
		$this->load();
		$this->coordinator->context = null;
		$this->server->get(IStorage::class);
		$this->assertStringStartsWith('methods were not registered as sensitive', (string)HookState::risk('cli'));
	}
}

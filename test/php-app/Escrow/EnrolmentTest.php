<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\Escrow\Enrolment;
use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\Credentials;
use PHPUnit\Framework\TestCase;

final class EnrolmentTest extends TestCase {
	private KeyServer $server;
	private string $dir;
	private World $world;
	private string $code;
	/** @var list<string> */
	private array $remembered = [];

	protected function setUp(): void {
		$this->server = new KeyServer();
		$this->dir = KeyServer::scratch('enrol');
		$this->world = new World();
		$this->code = str_repeat('B', 42) . 'A';
	}

	protected function tearDown(): void {
		$this->server->stop();
	}

	private function enrolment(?callable $remember = null): Enrolment {
		return new Enrolment($this->world, 'oc1', ['/usr'], $remember ?? function (string $dir): void {
			$this->remembered[] = $dir;
		});
	}

	/** @return array{clientId: string, keys: list<string>} */
	private function enroll(bool $replace = false): array {
		return $this->enrolment()->enroll($this->dir, [$this->server->url()], $this->code, $this->server->ca, $replace);
	}

	/** @param callable(): mixed $work */
	private function assertRefused(string $reason, callable $work): void {
		$files = $this->files();
		$before = count($this->server->requests());
		try {
			$work();
			$this->fail('not refused');
		} catch (Failure $failure) {
			$this->assertSame($reason, $failure->reason());
			$this->assertStringNotContainsString($this->code, $failure->getMessage() . $failure->hint());
		}
		$this->assertSame($files, $this->files());
		$this->assertCount($before, $this->server->requests(), 'the code was spent');
	}

	/** @return array<string, string> */
	private function files(): array {
		$files = [];
		foreach (glob($this->dir . '/*.{json,pem}', GLOB_BRACE) ?: [] as $file) {
			$files[basename($file)] = hash_file('sha256', $file);
		}
		ksort($files);
		return $files;
	}

	public function testRefusesAFolderOthersCanRead(): void {
		chmod($this->dir, 0750);
		$this->assertRefused('state_mode', fn () => $this->enroll());
		chmod($this->dir, 0700);
	}

	public function testRefusesAForbiddenFolder(): void {
		$this->dir = '/usr/lib';
		$this->assertRefused('folder_refused', fn () => $this->enroll());
	}

	public function testRefusesWhenConfigCannotBeWritten(): void {
		$readOnly = static function (): void {
			throw new \Exception('config.php of secret canary');
		};
		$this->assertRefused('internal_error', fn () => $this->enrolment($readOnly)
			->enroll($this->dir, [$this->server->url()], $this->code, $this->server->ca, false));
	}

	public function testRefusesASecondEnrolment(): void {
		$this->enroll();
		$this->assertRefused('already_enrolled', fn () => $this->enroll());
	}

	public function testRefusesAnotherServersCertificate(): void {
		$other = KeyServer::certificate($this->dir . '/other');
		unlink($this->dir . '/other');
		$this->assertRefused('tls_failed', fn () => $this->enrolment()
			->enroll($this->dir, [$this->server->url()], $this->code, $other, false));
	}

	public function testARefusedCodeLeavesNoCredentials(): void {
		$this->server->behave(['/v1/enroll' => [401, ['code' => 'unauthorized', 'status' => 401]]]);
		try {
			$this->enroll();
			$this->fail('not refused');
		} catch (Failure $failure) {
			$this->assertSame('unauthorized', $failure->reason());
		}
		$this->assertSame([], $this->files());
	}

	public function testStoresEverythingPrivately(): void {
		$this->assertSame(['clientId' => 'stand-in', 'keys' => []], $this->enroll());
		$this->assertSame(['ca.pem', 'client.json', 'link.json'], array_keys($this->files()));
		foreach (array_keys($this->files()) as $file) {
			$this->assertSame(0600, fileperms($this->dir . '/' . $file) & 0777);
		}
		$this->assertSame([$this->dir], $this->remembered);
		$this->assertTrue(Host::at($this->dir)->links()->isPresent());
	}

	public function testANewEnrolmentKeepsMovedKeysMoved(): void {
		$this->enroll();
		$host = Host::at($this->dir);
		Credentials::load($host->folder())->withKeys([World::MASTER])->withMasterKeyId('master_1')->save($host->folder());
		$this->assertSame([World::MASTER], $this->enroll(true)['keys']);
		$this->assertSame('master_1', Credentials::load($host->folder())->masterKeyId());
	}

	public function testAnEnrolmentAfterALostStateFolderFindsTheMovedKeys(): void {
		$first = $this->enroll();
		$this->assertSame([], $first['keys']);
		$client = Host::at($this->dir)->client();
		foreach ($this->world->disk as $id => $blob) {
			$client->putKey($id, $blob, str_repeat('C', 42) . 'A');
		}
		$this->world->disk = [];
		array_map('unlink', glob($this->dir . '/*'));
		$this->assertSame([World::MASTER, World::SHARE], $this->enroll()['keys']);
		$this->assertSame('master_1', Credentials::load(Host::at($this->dir)->folder())->masterKeyId());
	}
}

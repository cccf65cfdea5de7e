<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use LatchkeyTest\TestAuthority;
use OCA\RemoteKeyStorage\State\CertificateRequest;
use OCA\RemoteKeyStorage\State\ClientCertificate;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateFolder;
use OCA\RemoteKeyStorage\Wire\WireError;
use PHPUnit\Framework\TestCase;

final class ClientCertificateTest extends TestCase {
	private const DAY = 86400000;
	private static TestAuthority $authority;
	private StateFolder $folder;
	private ClientCertificate $certificate;

	public static function setUpBeforeClass(): void {
		self::$authority = new TestAuthority();
	}

	protected function setUp(): void {
		$this->folder = new StateFolder(KeyServer::scratch('certificate'));
		$this->certificate = new ClientCertificate($this->folder);
	}

	/** @return array{CertificateRequest, string} */
	private function pair(): array {
		$request = CertificateRequest::make();
		return [$request, self::$authority->sign($request)];
	}

	private function assertHolds(string $pem): void {
		$this->assertNotNull($this->certificate->files());
		$this->assertSame($pem, $this->folder->read('client.crt'));
		$this->assertTrue(openssl_x509_check_private_key($pem, $this->folder->read('client.key')));
		$this->assertNull($this->folder->read('client.new'));
	}

	public function testThereIsNoneBeforeItIsIssued(): void {
		$this->assertNull($this->certificate->files());
		$this->assertNull($this->certificate->describe());
		$this->assertFalse($this->certificate->isDue(PHP_INT_MAX, self::$authority->pem));
	}

	public function testHalfAPairIsNone(): void {
		$this->folder->write('client.crt', $this->pair()[1]);
		$this->assertNull($this->certificate->files());
	}

	public function testAKeyOthersCanReadIsRefused(): void {
		$this->certificate->store(...$this->pair());
		chmod($this->folder->file('client.key'), 0640);
		$this->expectException(StateError::class);
		$this->certificate->files();
	}

	public function testBothFilesArePrivate(): void {
		[$request, $pem] = $this->pair();
		$this->certificate->store($request, $pem);
		$this->assertHolds($pem);
		foreach (['client.key', 'client.crt'] as $name) {
			$this->assertSame(0600, fileperms($this->folder->file($name)) & 0777);
		}
	}

	/** @return array<string, array{list<string>}> what had been replaced when the power went */
	public function cuts(): array {
		return [
			'after the new pair was put aside' => [[]],
			'after the key was replaced' => [['client.key']],
			'after both were replaced' => [['client.key', 'client.crt']],
		];
	}

	/**
	 * @dataProvider cuts
	 * @param list<string> $replaced
	 */
	public function testAPowerCutDuringTheReplacementLeavesTheNewPair(array $replaced): void {
		$this->certificate->store(...$this->pair());
		[$request, $pem] = $this->pair();
		$this->folder->write('client.new', $request->key() . $pem);
		foreach ($replaced as $name) {
			$this->folder->write($name, $name === 'client.key' ? $request->key() : $pem);
		}
		$this->assertHolds($pem);
	}

	/** @return list<array{string}> */
	public function rubbish(): array {
		return [[''], ['x'], ["-----BEGIN PRIVATE KEY-----\n"], ["-----BEGIN CERTIFICATE-----\n"]];
	}

	/** @dataProvider rubbish */
	public function testWhatIsNoPairIsThrownAway(string $rubbish): void {
		[$request, $pem] = $this->pair();
		$this->certificate->store($request, $pem);
		$this->folder->write('client.new', $rubbish);
		$this->assertHolds($pem);
	}

	public function testItIsDueWhenLessThanAThirdIsLeft(): void {
		$this->certificate->store(...$this->pair());
		['from' => $from, 'until' => $until] = $this->certificate->describe();
		$this->assertSame(30 * self::DAY, $until - $from);
		$this->assertFalse($this->certificate->isDue($until - 10 * self::DAY, self::$authority->pem));
		$this->assertTrue($this->certificate->isDue($until - 10 * self::DAY + 1, self::$authority->pem));
		$this->assertTrue($this->certificate->isDue($until + 1, self::$authority->pem));
	}

	public function testItIsDueWhenAnotherAuthoritySigns(): void {
		$this->certificate->store(...$this->pair());
		$now = (int)(microtime(true) * 1000);
		$next = (new TestAuthority())->pem;
		$this->assertTrue($this->certificate->isDue($now, $next . self::$authority->pem));
		$this->assertFalse($this->certificate->isDue($now, self::$authority->pem . $next));
		$this->assertFalse($this->certificate->isDue($now, 'rubbish'));
	}

	public function testRemovingLeavesNothing(): void {
		$this->certificate->store(...$this->pair());
		$this->certificate->remove();
		$this->assertSame([], glob($this->folder->path() . '/*'));
	}

	public function testARequestIsSignedWithItsOwnKeyAndShowsItNowhere(): void {
		$request = CertificateRequest::make();
		$public = openssl_pkey_get_details(openssl_csr_get_public_key($request->text()));
		$this->assertSame(OPENSSL_KEYTYPE_EC, $public['type']);
		$this->assertSame('prime256v1', $public['ec']['curve_name']);
		$own = openssl_pkey_get_details(openssl_pkey_get_private($request->key()));
		$this->assertSame($public['key'], $own['key']);
		$this->assertStringNotContainsString('PRIVATE', print_r($request, true) . $request->text());
		$this->assertNotSame($request->key(), CertificateRequest::make()->key());
	}

	public function testOnlyTheCertificateThatWasAskedForIsTaken(): void {
		[$request, $pem] = $this->pair();
		$request->assertAnswered($pem, (new TestAuthority())->pem . self::$authority->pem);
		$foreign = self::$authority->sign(CertificateRequest::make());
		$answers = [
			'another key' => [$foreign, self::$authority->pem],
			'another authority' => [$pem, (new TestAuthority())->pem],
			'no authority' => [$pem, ''],
			'two' => [$pem . $foreign, self::$authority->pem],
			'nothing' => ['', self::$authority->pem],
			'more than a certificate' => [$pem . 'x', self::$authority->pem],
			'the authority itself' => [self::$authority->pem, self::$authority->pem],
		];
		foreach ($answers as $what => [$certificate, $ca]) {
			try {
				$request->assertAnswered($certificate, $ca);
				$this->fail($what . ' was taken');
			} catch (WireError $e) {
				$this->assertSame('bad_answer', $e->code());
			}
		}
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use LatchkeyTest\Escrow\World;
use LatchkeyTest\KeyServer;
use LatchkeyTest\TestAuthority;
use OCA\RemoteKeyStorage\Escrow\Enrolment;
use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\CertificateRequest;
use OCA\RemoteKeyStorage\Wire\WireError;
use PHPUnit\Framework\TestCase;

final class RenewalTest extends TestCase {
	private KeyServer $server;
	private string $dir;
	private Host $host;

	protected function setUp(): void {
		$this->server = new KeyServer();
		$this->dir = KeyServer::scratch('renewal');
		$this->enroll(false);
		$this->host = Host::at($this->dir);
	}

	protected function tearDown(): void {
		$this->server->stop();
	}

	private function enroll(bool $replace): void {
		(new Enrolment(new World(), 'oc1', ['/usr'], static function (): void {
		}))->enroll($this->dir, [$this->server->url()], str_repeat('B', 42) . 'A', $this->server->ca, $replace);
	}

	private function pem(): string {
		return (string)file_get_contents($this->dir . '/client.crt');
	}

	/** As if this host had a certificate of somebody else's: always due. */
	private function outdate(): string {
		$request = CertificateRequest::make();
		$this->host->certificate()->store($request, (new TestAuthority())->sign($request));
		return $this->pem();
	}

	public function testEnrolmentAsksForACertificateAndKeepsItsKey(): void {
		$sent = $this->server->requests('POST /v1/enroll')[0]['body'];
		$this->assertStringContainsString('CERTIFICATE REQUEST', $sent['csr']);
		$this->assertTrue(openssl_x509_check_private_key($this->pem(), file_get_contents($this->dir . '/client.key')));
		foreach ($this->server->requests() as $request) {
			$this->assertStringNotContainsString('PRIVATE', json_encode($request));
		}
	}

	public function testANewEnrolmentWithoutOneLeavesNoOldOne(): void {
		$this->server->behave(['/v1/enroll' => [201, [
			'clientId' => 'plain', 'token' => str_repeat('A', 43), 'totpSecret' => null, 'link' => str_repeat('A', 43), 'keys' => [],
		]]]);
		$this->enroll(true);
		$this->assertNull($this->host->certificate()->files());
	}

	public function testACertificateThatWasNotAskedForEndsTheEnrolment(): void {
		$request = CertificateRequest::make();
		$this->server->behave(['/v1/enroll' => [201, [
			'clientId' => 'plain', 'token' => str_repeat('A', 43), 'totpSecret' => null, 'link' => str_repeat('A', 43), 'keys' => [],
			'certificate' => (new TestAuthority())->sign($request),
		]]]);
		$before = $this->pem();
		$this->expectExceptionMessage('certificate');
		try {
			$this->enroll(true);
		} finally {
			$this->assertSame($before, $this->pem());
		}
	}

	public function testAHeartbeatRenewsWhatIsDueAndNothingElse(): void {
		$this->host->heartbeat();
		$this->assertSame([], $this->server->requests('POST /v1/certificate'));
		$old = $this->outdate();
		$this->host->heartbeat();
		$this->assertCount(1, $this->server->requests('POST /v1/certificate'));
		$this->assertNotSame($old, $this->pem());
		$this->assertSame(1, openssl_x509_verify($this->pem(), $this->server->ca));
		$this->assertNull($this->host->renewals()->last());
		$this->host->heartbeat();
		$this->assertCount(1, $this->server->requests('POST /v1/certificate'));
	}

	public function testTheRequestIsNewEachTimeAndCarriesACode(): void {
		$this->host->renewCertificate();
		$this->host->renewCertificate();
		[$one, $two] = $this->server->requests('POST /v1/certificate');
		$this->assertNotSame($one['body']['csr'], $two['body']['csr']);
		$this->assertMatchesRegularExpression('/\r\nX-TOTP: [0-9]{6}\r\n/', $one['head']);
	}

	/** @return array<string, array{mixed, string}> */
	public function failures(): array {
		$stranger = new TestAuthority();
		$foreign = $stranger->sign(CertificateRequest::make());
		return [
			'lost on the way there' => ['lose-request', 'unreachable'],
			'lost on the way back' => ['lose-answer', 'unreachable'],
			'refused' => [[401, ['code' => 'unauthorized']], 'unauthorized'],
			'too often' => [[429, ['code' => 'rate_limited']], 'rate_limited'],
			'another certificate' => [[200, ['certificate' => $foreign, 'ca' => $stranger->pem]], 'bad_answer'],
			'none' => [[200, []], 'bad_answer'],
		];
	}

	/**
	 * @dataProvider failures
	 * @param mixed $behaviour
	 */
	public function testAFailureKeepsWhatThereIsAndIsTold($behaviour, string $code): void {
		$old = $this->outdate();
		$ca = file_get_contents($this->dir . '/ca.pem');
		$this->server->behave(['/v1/certificate' => $behaviour]);
		$this->assertSame('ok', $this->host->heartbeat()['state']);
		$this->assertSame($code, $this->host->renewals()->last()['code']);
		$this->assertSame($old, $this->pem());
		$this->assertSame($ca, file_get_contents($this->dir . '/ca.pem'));
		$this->assertNotNull($this->host->certificate()->files());
	}

	public function testAfterAFailureItWaitsAndTellsSinceWhen(): void {
		$this->outdate();
		$this->server->behave(['/v1/certificate' => 'lose-answer']);
		$this->host->heartbeat();
		$this->host->heartbeat();
		$this->assertCount(1, $this->server->requests('POST /v1/certificate'));
		$failed = $this->host->renewals()->last();
		$this->assertFalse($this->host->renewals()->mayTry($failed['time'] + 599999));
		$this->assertTrue($this->host->renewals()->mayTry($failed['time'] + 600000));
		$this->host->renewals()->failed('timeout', $failed['time'] + 600000);
		$this->assertSame($failed['since'], $this->host->renewals()->last()['since']);
		$this->server->behave([]);
		$this->host->renewCertificate();
		$this->assertNull($this->host->renewals()->last());
	}

	public function testAByHandRenewalTellsItsFailure(): void {
		$this->server->behave(['/v1/certificate' => [401, ['code' => 'certificate_expired']]]);
		$this->expectException(WireError::class);
		$this->host->renewCertificate();
	}

	public function testAHeartbeatBringsTheNewAuthorityAndThenANewCertificate(): void {
		$next = new TestAuthority();
		$this->server->behave(['ca' => $next->pem . $this->server->ca]);
		$this->host->heartbeat();
		$this->assertSame($next->pem . $this->server->ca, $this->host->folder()->read('ca.pem'));
		$this->assertCount(1, $this->server->requests('POST /v1/certificate'));
	}

	public function testWhatCannotBeAnAuthorityIsNotTrusted(): void {
		$before = $this->host->folder()->read('ca.pem');
		foreach (['rubbish', $this->pem(), $this->server->ca . 'x'] as $ca) {
			$this->server->behave(['ca' => $ca]);
			$this->host->heartbeat();
			$this->assertSame($before, $this->host->folder()->read('ca.pem'));
		}
	}

	public function testACertificateThatCurlCannotUseIsNamed(): void {
		file_put_contents($this->dir . '/client.key', CertificateRequest::make()->key());
		try {
			$this->host->heartbeat();
			$this->fail('it was heard');
		} catch (WireError $e) {
			$this->assertSame('tls_failed', $e->code());
			$this->assertStringContainsString('client.crt', $e->getMessage());
		}
	}
}

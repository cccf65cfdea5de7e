<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateFolder;
use PHPUnit\Framework\TestCase;

final class CredentialsTest extends TestCase {
	private const GOOD = [
		'version' => 1,
		'urls' => ['https://10.7.0.1:8443'],
		'clientId' => 'c1',
		'token' => 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8',
		'totpSecret' => 'MZXW6YTBOI',
		'masterKeyId' => 'master_1c3e56e0',
		'keys' => ['master_1c3e56e0.privateKey'],
	];
	private StateFolder $folder;

	protected function setUp(): void {
		$this->folder = new StateFolder(KeyServer::scratch('state'));
	}

	public function testSavesWhatItLoads(): void {
		$this->assertNull(Credentials::load($this->folder));
		$this->folder->write('client.json', json_encode(self::GOOD));
		Credentials::load($this->folder)->withKeys(['a_1.privateKey'])->save($this->folder);
		$this->assertEquals(['keys' => ['a_1.privateKey']] + self::GOOD, json_decode($this->folder->read('client.json'), true));
		$loaded = Credentials::load($this->folder);
		$this->assertTrue($loaded->isRemote('a_1.privateKey'));
		$this->assertFalse($loaded->isRemote('master_1c3e56e0.privateKey'));
	}

	public function testNewSecretsLeaveTheRestAsItIs(): void {
		$this->folder->write('client.json', json_encode(self::GOOD));
		$token = str_repeat('B', 42) . 'A';
		$changed = Credentials::load($this->folder)->withSecrets($token, null);
		$this->assertEquals(['token' => $token] + self::GOOD, json_decode($changed->toJson(), true));
		$changed = $changed->withSecrets(null, 'MZXW6YTBOJRGC6RA');
		$this->assertSame([$token, 'MZXW6YTBOJRGC6RA'], [$changed->token(), $changed->totpSecret()]);
	}

	/** @return array<string, array{string, mixed}> */
	public function wrongValues(): array {
		return [
			'another version' => ['version', 2],
			'no url' => ['urls', []],
			'a plain url' => ['urls', ['http://10.7.0.1']],
			'urls by name' => ['urls', ['a' => 'https://10.7.0.1']],
			'a url that is a number' => ['urls', [1]],
			'a client id with a line end' => ['clientId', "c1\r\nX-Auth-Token: x"],
			'an empty client id' => ['clientId', ''],
			'a short token' => ['token', 'AAAA'],
			'no token' => ['token', null],
			'a totp secret in lower case' => ['totpSecret', 'mzxw6ytboi'],
			'a totp secret that is false' => ['totpSecret', false],
			'a master key id that is a path' => ['masterKeyId', 'master_../x'],
			'another kind of master key id' => ['masterKeyId', 'pubShare_1'],
			'a key that is public' => ['keys', ['master_1c3e56e0.publicKey']],
			'a key that is a path' => ['keys', ['../master.privateKey']],
			'keys in words' => ['keys', 'master_1c3e56e0.privateKey'],
		];
	}

	/**
	 * @dataProvider wrongValues
	 * @param mixed $value
	 */
	public function testRefusesAndNamesTheField(string $field, $value): void {
		$this->folder->write('client.json', json_encode([$field => $value] + self::GOOD));
		try {
			Credentials::load($this->folder);
			$this->fail('it was taken');
		} catch (StateError $e) {
			$this->assertSame('state_format', $e->code());
			$this->assertStringContainsString('"' . $field . '"', $e->getMessage());
			$this->assertStringNotContainsString(self::GOOD['token'], $e->getMessage());
		}
	}

	public function testRefusesAFileThatIsNoJson(): void {
		foreach (['', '{', '[]', '"x"', '{"version":1}'] as $text) {
			$this->folder->write('client.json', $text);
			try {
				Credentials::load($this->folder);
				$this->fail('it was taken');
			} catch (StateError $e) {
				$this->assertSame('state_format', $e->code());
			}
		}
	}

	public function testDumpsDoNotShowSecrets(): void {
		$this->folder->write('client.json', json_encode(self::GOOD));
		$dump = print_r(Credentials::load($this->folder), true);
		$this->assertStringNotContainsString(self::GOOD['token'], $dump);
		$this->assertStringNotContainsString(self::GOOD['totpSecret'], $dump);
	}
}

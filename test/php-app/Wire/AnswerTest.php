<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use OCA\RemoteKeyStorage\Wire\Answer;
use OCA\RemoteKeyStorage\Wire\WireError;
use PHPUnit\Framework\TestCase;

final class AnswerTest extends TestCase {
	private const JSON = 'application/json; charset=utf-8';
	private const PROBLEM = 'application/problem+json';

	public function testProblemKeepsWhatTheCallerNeeds(): void {
		$error = $this->refusalOf(429, self::PROBLEM, '{"code":"rate_limited","detail":"x"}', 17);
		$this->assertSame(['rate_limited', 429, 17, false], [$error->code(), $error->status(), $error->retryAfter(), $error->isDenial()]);
		$error = $this->refusalOf(423, self::PROBLEM, '{"code":"locked","reason":"fork"}');
		$this->assertSame(['locked', 'fork', true], [$error->code(), $error->detail(), $error->isDenial()]);
		$error = $this->refusalOf(403, self::PROBLEM, '{"code":"grant_refused"}');
		$this->assertFalse($error->isDenial(), 'it is the grant that is refused, not the client');
		$error = $this->refusalOf(409, self::PROBLEM, '{"code":"stale_message","serverTime":1700000000000}');
		$this->assertSame([1700000000000, false], [$error->serverTime(), $error->isDenial()]);
		$error = $this->refusalOf(202, self::JSON, '{"approval":"ab12","retryAfter":5}');
		$this->assertSame(['approval_pending', 'ab12', 5, false], [$error->code(), $error->detail(), $error->retryAfter(), $error->isDenial()]);
	}

	/** @return array<string, array{int, string, string}> */
	public function strangers(): array {
		return [
			'html' => [200, 'text/html', '<html></html>'],
			'json by another name' => [200, 'text/plain', '{}'],
			'a list' => [200, self::JSON, '[1]'],
			'a string' => [200, self::JSON, '"x"'],
			'cut off' => [200, self::JSON, '{"a":'],
			'nothing' => [200, self::JSON, ''],
			'deep' => [200, self::JSON, str_repeat('{"a":', 40) . '1' . str_repeat('}', 40)],
			'a proxy\'s error' => [502, 'text/html', 'Bad Gateway'],
			'a problem without code' => [401, self::PROBLEM, '{"title":"no"}'],
			'a problem with a strange code' => [401, self::PROBLEM, '{"code":"No Way!"}'],
			'a redirect' => [302, self::PROBLEM, '{}'],
		];
	}

	/** @dataProvider strangers */
	public function testWhatIsNoKeyServerIsNoDenial(int $status, string $type, string $body): void {
		$error = $this->refusalOf($status, $type, $body);
		$this->assertSame('bad_answer', $error->code());
		$this->assertFalse($error->isDenial());
	}

	/** @return array<string, array{string, callable}> */
	public function wrongFields(): array {
		$head = '{"seq":1,"hash":"' . str_repeat('a', 64) . '"}';
		return [
			'no key' => ['{"keys":{}}', static fn (Answer $a) => $a->keys(['a'])],
			'an empty key' => ['{"keys":{"a":""}}', static fn (Answer $a) => $a->keys(['a'])],
			'a key that is not base64' => ['{"keys":{"a":"@@"}}', static fn (Answer $a) => $a->keys(['a'])],
			'a key that is a number' => ['{"keys":{"a":5}}', static fn (Answer $a) => $a->keys(['a'])],
			'only another key' => ['{"keys":{"b":"YQ=="}}', static fn (Answer $a) => $a->keys(['a'])],
			'a head without hash' => ['{"head":{"seq":1}}', static fn (Answer $a) => $a->head()],
			'a negative head' => [str_replace(':1,', ':-1,', '{"head":' . $head . '}'), static fn (Answer $a) => $a->head()],
			'a policy in words' => ['{"policy":{"ttl":"1h","staleIfError":1}}', static fn (Answer $a) => $a->policy()],
			'a negative policy' => ['{"policy":{"ttl":-1,"staleIfError":1}}', static fn (Answer $a) => $a->policy()],
			'a short link' => ['{"next":"AAAA"}', static fn (Answer $a) => $a->link('next')],
			'new secrets that are none' => ['{"rotate":{}}', static fn (Answer $a) => $a->newSecrets()],
			'new secrets in words' => ['{"rotate":"soon"}', static fn (Answer $a) => $a->newSecrets()],
			'a short new token' => ['{"rotate":{"token":"AAAA"}}', static fn (Answer $a) => $a->newSecrets()],
			'a new totp secret in lower case' => ['{"rotate":{"totpSecret":"mzxw6ytb"}}', static fn (Answer $a) => $a->newSecrets()],
			'a text with a space' => ['{"session":"a b"}', static fn (Answer $a) => $a->text('session')],
		];
	}

	/** @dataProvider wrongFields */
	public function testRefusesWrongFields(string $body, callable $getter): void {
		$answer = Answer::parse(200, self::JSON, $body, null);
		$this->expectException(WireError::class);
		$getter($answer);
	}

	public function testNewSecretsAreThereOrNot(): void {
		$parse = static fn (string $body): ?array => Answer::parse(200, self::JSON, $body, null)->newSecrets();
		$token = str_repeat('A', 43);
		$this->assertNull($parse('{"keys":{}}'));
		$this->assertSame(['token' => $token, 'totpSecret' => null], $parse('{"rotate":{"token":"' . $token . '"}}'));
		$this->assertSame(['token' => null, 'totpSecret' => 'MZXW6YTB'], $parse('{"rotate":{"totpSecret":"MZXW6YTB"}}'));
	}

	public function testAPolicyOfYearsIsCutToAWeek(): void {
		$answer = Answer::parse(200, self::JSON, '{"policy":{"ttl":99999999,"staleIfError":99999999}}', null);
		$this->assertSame(['ttl' => 604800, 'staleIfError' => 604800], $answer->policy());
	}

	private function refusalOf(int $status, string $type, string $body, ?int $retryAfter = null): WireError {
		try {
			Answer::parse($status, $type, $body, $retryAfter);
		} catch (WireError $e) {
			return $e;
		}
		$this->fail('it was taken for an answer');
	}
}

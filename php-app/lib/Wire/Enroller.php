<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

use OCA\RemoteKeyStorage\State\CertificateRequest;

/** How a host that the key server does not know yet gets its credentials. */
class Enroller {
	/**
	 * Spend an enrolment code. Writes nothing: the caller stores what comes back (Credentials, ca.pem, LinkState::start).
	 *
	 * @param list<string> $urls tried in order
	 * @param string $ca PEM of the key server's CA
	 * @param CertificateRequest|null $request answered by a certificate where TLS is spoken
	 * @return array{
	 *     clientId: string, token: string, totpSecret: string|null, link: string, ca: string, keys: list<string>, url: string,
	 *     certificate: string|null
	 * } ca: what to trust from now on, by the server's own statement if it made a usable one, else what was given
	 * @throws WireError
	 */
	public static function enroll(
		array $urls,
		#[\SensitiveParameter]
		string $code,
		string $ca,
		?string $name = null,
		?CertificateRequest $request = null
	): array {
		$folder = sys_get_temp_dir() . '/latchkey-ca-' . bin2hex(random_bytes(8));
		if (!mkdir($folder, 0700) || file_put_contents($folder . '/ca.pem', $ca) !== strlen($ca)) {
			throw new WireError('unreachable', 'the CA certificate could not be put into a temporary file');
		}
		try {
			$fields = ['code' => $code] + ($name === null ? [] : ['name' => $name])
				+ ($request === null ? [] : ['csr' => $request->text()]);
			$caFile = $folder . '/ca.pem';
			$conversation = static function (Transport $transport, string $url) use ($fields, $ca, $request): array {
				$answer = $transport->send('POST', '/v1/enroll', [], $fields);
				$secret = $answer->optional('totpSecret', 128);
				if ($secret !== null && Encoding::fromBase32($secret) === null) {
					throw new WireError('bad_answer', 'the key server\'s answer has no usable "totpSecret"', $answer->status());
				}
				$stated = $answer->optional('ca', 16384) ?? '';
				$stated = CertificateBundle::parse($stated) === [] ? $ca : $stated;
				$certificate = $request === null ? null : $answer->optional('certificate', 16384);
				if ($request !== null && $certificate !== null) {
					$request->assertAnswered($certificate, $stated);
				}
				return [
					'clientId' => $answer->text('clientId', 128),
					'token' => $answer->link('token')->text(),
					'totpSecret' => $secret,
					'link' => $answer->link('link')->text(),
					'ca' => $stated,
					'keys' => $answer->keyIds(),
					'url' => $url,
					'certificate' => $certificate,
				];
			};
			return Conversation::hold(new ServerList($urls), $caFile, null, $conversation);
		} finally {
			@unlink($folder . '/ca.pem');
			@rmdir($folder);
		}
	}
}

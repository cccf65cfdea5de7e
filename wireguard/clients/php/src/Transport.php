<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

use LatchkeyHub\Exception\BadAnswer;
use LatchkeyHub\Exception\HubException;
use LatchkeyHub\Exception\Unreachable;

/**
 * Sends requests by curl, several at once. Certificates are always verified, redirects never followed, proxies never used.
 *
 * @internal
 */
final class Transport {
	private const USER_AGENT = 'latchkey-hub-client/1';
	/** What curl says when the other side could not prove itself, or TLS came to nothing. */
	private const TLS_ERRORS = [35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98];

	/**
	 * @param array<string, Request> $requests
	 * @return array<string, Answer|HubException> by the same names
	 */
	public static function send(array $requests): array {
		$multi = curl_multi_init();
		$calls = [];
		foreach ($requests as $name => $request) {
			$calls[$name] = new Call(self::handle($request));
			curl_multi_add_handle($multi, $calls[$name]->curl);
		}
		$results = self::run($multi);
		$answers = [];
		foreach ($calls as $name => $call) {
			$error = $results[spl_object_id($call->curl)] ?? CURLE_FAILED_INIT;
			$answers[$name] = $error === CURLE_OK
				? Answer::parse($requests[$name]->server, $call)
				: self::failure($requests[$name]->server, $error, $call);
			curl_multi_remove_handle($multi, $call->curl);
		}
		curl_multi_close($multi);
		return $answers;
	}

	/** @return array<int, int> how each handle ended, by its object's id */
	private static function run(\CurlMultiHandle $multi): array {
		$results = [];
		do {
			$status = curl_multi_exec($multi, $active);
			while (($done = curl_multi_info_read($multi)) !== false) {
				$results[spl_object_id($done['handle'])] = $done['result'];
			}
			if ($active > 0 && curl_multi_select($multi, 1.0) === -1) {
				usleep(5000);
			}
		} while ($active > 0 && $status === CURLM_OK);
		return $results;
	}

	private static function handle(Request $request): \CurlHandle {
		$curl = curl_init();
		$options = [
			CURLOPT_URL => $request->url,
			CURLOPT_CUSTOMREQUEST => $request->method,
			CURLOPT_HTTPHEADER => $request->headers(),
			CURLOPT_PROTOCOLS => strncmp($request->url, 'http:', 5) === 0 ? CURLPROTO_HTTP : CURLPROTO_HTTPS,
			CURLOPT_SSLVERSION => CURL_SSLVERSION_TLSv1_2,
			CURLOPT_SSL_VERIFYPEER => true,
			CURLOPT_SSL_VERIFYHOST => 2,
			CURLOPT_FOLLOWLOCATION => false,
			CURLOPT_PROXY => '',
			CURLOPT_NOPROXY => '*',
			CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
			CURLOPT_NOSIGNAL => true,
			CURLOPT_USERAGENT => self::USER_AGENT,
			CURLOPT_TIMEOUT_MS => (int)($request->timeout * 1000),
			CURLOPT_CONNECTTIMEOUT_MS => (int)($request->connectTimeout * 1000),
		];
		if ($request->caFile !== null) {
			$options[CURLOPT_CAINFO] = $request->caFile;
		}
		if ($request->body !== null) {
			$options[CURLOPT_POSTFIELDS] = $request->body;
		}
		if (!curl_setopt_array($curl, $options)) {
			// a curl that ignores one of these must not be used
			throw new \LogicException('this PHP\'s curl lacks an option that is needed, or the file of certificates cannot be read');
		}
		return $curl;
	}

	private static function failure(string $server, int $error, Call $call): HubException {
		$sent = curl_getinfo($call->curl, CURLINFO_REQUEST_SIZE) > 0;
		$number = ' (curl error ' . $error . ')';
		if ($call->isTooLong()) {
			return new BadAnswer($server . ' answered more than a hub does', 'bad_answer', $call->status());
		}
		if (in_array($error, self::TLS_ERRORS, true)) {
			return new Unreachable($server . ' could not prove itself' . $number, 'tls_failed', $sent);
		}
		if ($error === CURLE_OPERATION_TIMEDOUT) {
			return new Unreachable($server . ' did not answer in time', 'timeout', $sent);
		}
		return new Unreachable('no answer from ' . $server . $number, 'connection_failed', $sent);
	}
}

<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** One connection to one key server, with one deadline for everything that is said on it. */
class Transport {
	public const CONNECT_SECONDS = 2.0;
	public const EXCHANGE_SECONDS = 5.0;
	private const MAX_ANSWER_BYTES = 1500000;
	private const USER_AGENT = 'remotekeystorage/1';

	private Endpoint $endpoint;
	private \CurlHandle $curl;
	private float $deadline;
	private string $body = '';
	private ?int $retryAfter = null;
	private ?int $date = null;

	/**
	 * @param string $caFile PEM file; nothing else is trusted
	 * @param string|null $caFolder a folder without certificates, so that the system's own list is not consulted
	 * @param float $seconds from now to the end of the last answer
	 * @param array{certificate: string, key: string}|null $shown PEM files of what this host shows of itself
	 */
	public function __construct(Endpoint $endpoint, string $caFile, ?string $caFolder, float $seconds, ?array $shown = null) {
		$this->endpoint = $endpoint;
		$this->deadline = microtime(true) + $seconds;
		$this->curl = curl_init();
		$this->set([
			CURLOPT_PROTOCOLS => CURLPROTO_HTTPS | (strncmp($endpoint->base(), 'http:', 5) === 0 ? CURLPROTO_HTTP : 0),
			CURLOPT_SSLVERSION => CURL_SSLVERSION_TLSv1_3,
			CURLOPT_SSL_VERIFYPEER => true,
			CURLOPT_SSL_VERIFYHOST => 2,
			CURLOPT_CAINFO => $caFile,
			CURLOPT_CAPATH => $caFolder ?? dirname($caFile),
			CURLOPT_PROXY => '',
			CURLOPT_NOPROXY => '*',
			CURLOPT_FOLLOWLOCATION => false,
			CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
			CURLOPT_NOSIGNAL => true,
			CURLOPT_USERAGENT => self::USER_AGENT,
			CURLOPT_WRITEFUNCTION => function ($curl, #[\SensitiveParameter] string $data): int {
				$this->body .= $data;
				return strlen($this->body) > self::MAX_ANSWER_BYTES ? 0 : strlen($data);
			},
			CURLOPT_HEADERFUNCTION => function ($curl, string $line): int {
				if (preg_match('/\Aretry-after: *([0-9]{1,6})\s*\z/i', $line, $match) === 1) {
					$this->retryAfter = (int)$match[1];
				} elseif (preg_match('/\Adate: *([\x21-\x7e][\x20-\x7e]{0,63}?)\s*\z/i', $line, $match) === 1) {
					$date = \DateTimeImmutable::createFromFormat(DATE_RFC7231, $match[1], new \DateTimeZone('UTC'));
					$this->date = $date === false ? null : $date->getTimestamp() * 1000;
				}
				return strlen($line);
			},
		]);
		if ($shown !== null) {
			$this->set([CURLOPT_SSLCERT => $shown['certificate'], CURLOPT_SSLKEY => $shown['key']]);
		}
	}

	/**
	 * @param 'POST'|'PUT' $method
	 * @param list<string> $headers
	 * @param array<string, mixed> $fields
	 * @throws WireError
	 */
	public function send(
		string $method,
		string $path,
		#[\SensitiveParameter]
		array $headers,
		#[\SensitiveParameter]
		array $fields
	): Answer {
		$left = (int)(($this->deadline - microtime(true)) * 1000);
		if ($left < 1) {
			throw new WireError('timeout', 'the key server took longer than the exchange may take');
		}
		$this->body = '';
		$this->retryAfter = null;
		$this->date = null;
		$this->set([
			CURLOPT_URL => $this->endpoint->at($path),
			CURLOPT_CUSTOMREQUEST => $method,
			CURLOPT_POSTFIELDS => json_encode($fields, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES),
			CURLOPT_HTTPHEADER => array_merge(
				$headers,
				['Content-Type: application/json', 'Accept: application/json, application/problem+json', 'Expect:']
			),
			CURLOPT_CONNECTTIMEOUT_MS => min((int)(self::CONNECT_SECONDS * 1000), $left),
			CURLOPT_TIMEOUT_MS => $left,
		]);
		if (curl_exec($this->curl) !== true) {
			throw $this->failure();
		}
		$body = $this->body;
		$this->body = '';
		return Answer::parse(
			curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE),
			(string)curl_getinfo($this->curl, CURLINFO_CONTENT_TYPE),
			$body,
			$this->retryAfter,
			$this->date
		);
	}

	private function failure(): WireError {
		$number = curl_errno($this->curl);
		$connected = curl_getinfo($this->curl, CURLINFO_CONNECT_TIME) > 0;
		$base = $this->endpoint->base();
		$this->body = '';
		if ($number === CURLE_OPERATION_TIMEDOUT) {
			return $connected
				? new WireError('timeout', 'the key server at ' . $base . ' did not answer in time')
				: new WireError('unreachable', 'no connection to the key server at ' . $base . ' within 2 s');
		}
		if ($number === CURLE_SSL_CERTPROBLEM) {
			return new WireError('tls_failed', 'this host\'s client.crt and client.key cannot be used (curl error ' . $number . ')');
		}
		// CURLE_PEER_FAILED_VERIFICATION is 60 and has no PHP constant of its own in every version
		if (in_array($number, [35, 51, 53, 54, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98], true)) {
			return new WireError('tls_failed', 'the key server at ' . $base . ' could not prove itself (curl error ' . $number . ')');
		}
		if ($number === CURLE_WRITE_ERROR) {
			return new WireError('bad_answer', 'the key server at ' . $base . ' answered more than ' . self::MAX_ANSWER_BYTES . ' bytes');
		}
		return new WireError('unreachable', 'no answer from the key server at ' . $base . ' (curl error ' . $number . ')');
	}

	/** @param array<int, mixed> $options */
	private function set(#[\SensitiveParameter] array $options): void {
		if (!curl_setopt_array($this->curl, $options)) {
			// a curl that ignores one of these must not be used
			throw new WireError('unreachable', 'this PHP\'s curl lacks an option that is needed');
		}
	}
}

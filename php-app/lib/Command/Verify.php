<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Escrow\KeyId;
use OCA\RemoteKeyStorage\Escrow\KeyServer;
use Symfony\Component\Console\Input\InputInterface;

/** `occ remotekey:verify`: a real release and a real decryption, past every cache. */
final class Verify extends RemoteKeyCommand {
	protected function configure(): void {
		$this->setName('remotekey:verify')
			->setDescription('have the master key released now and open something with it');
	}

	protected function work(InputInterface $input): array {
		$host = $this->workshop->enrolledHost();
		$masters = array_values(array_filter(
			$this->workshop->moved()->ids(),
			[KeyId::class, 'isMaster'],
		));
		if ($masters === []) {
			throw new Failure('keys_local', 'no master key has moved yet', 'run `occ remotekey:escrow` first');
		}
		$started = hrtime(true);
		$released = (new KeyServer($host))->release($masters, 'verify');
		$milliseconds = intdiv(hrtime(true) - $started, 1000000);
		$host->tendCertificate();
		$decrypt = true;
		foreach ($released as $id => $blob) {
			$decrypt = $decrypt && $this->workshop->proof()->opens($id, $blob) === true;
		}
		$error = [
			'code' => 'key_unusable',
			'message' => 'the released master key does not open with this instance\'s secret',
			'hint' => 'check "secret" and "instanceid" in config.php and the public key in files_encryption',
		];
		return [
			'release' => true,
			'decrypt' => $decrypt,
			'ms' => $milliseconds,
			'verdict' => $decrypt ? 'ok' : 'key_unusable',
			'hook' => $this->workshop->proof()->hook(),
		] + ($decrypt ? [] : ['error' => $error]);
	}

	protected function isGood(array $result): bool {
		return $result['decrypt'];
	}

	protected function lines(array $result): array {
		return [
			'released in ' . $result['ms'] . ' ms, ' . ($result['decrypt'] ? 'and it opens' : 'but it opens nothing here'),
		];
	}
}

<?php
// A stand-in for Nextcloud's occ: answers what ncpatch asks as the real one does, in milliseconds. What the database and
// config.php would hold is in state.json beside it; a folder beside the tree stands for the key server.
declare(strict_types=1);

$root = __DIR__;
$base = dirname($root);
$args = array_values(array_filter(array_slice($argv, 1), fn ($word) => !in_array($word, ['--no-warnings', '--no-interaction'], true)));
$json = in_array('--output=json', $args, true);
$args = array_values(array_filter($args, fn ($word) => $word !== '--output=json'));
$command = array_shift($args) ?? '';

$trouble = @json_decode((string) @file_get_contents("$base/trouble.json"), true) ?? [];
if (isset($trouble[$command])) {
	file_put_contents("$base/troubled", getmypid() . "\n", FILE_APPEND);
	if ($trouble[$command] === 'hangs') {
		sleep(600);
	}
	fwrite(STDERR, "as asked\n");
	exit((int) $trouble[$command]);
}

$lock = fopen("$base/state.lock", 'c');
flock($lock, LOCK_EX);
$state = json_decode(file_get_contents("$base/state.json"), true);

function put(string $path, string $data): void {
	$new = "$path." . getmypid() . '.tmp';
	file_put_contents($new, $data);
	rename($new, $path);
}
function save(): void {
	global $base, $state;
	put("$base/state.json", json_encode($state));
}
function answer(mixed $value, int $exit = 0): never {
	echo json_encode($value), "\n";
	exit($exit);
}
function refuse(string $code): never {
	answer(['error' => ['code' => $code, 'message' => 'refused by the stand-in', 'hint' => 'none']], 1);
}
function appFolder(): ?string {
	global $state, $root;
	foreach ($state['system']['apps_paths'] ?? [['path' => "$root/apps"]] as $entry) {
		if (is_file($entry['path'] . '/remotekeystorage/appinfo/info.xml')) {
			return $entry['path'] . '/remotekeystorage';
		}
	}
	return null;
}
function versionOf(?string $folder): ?string {
	return $folder !== null && preg_match('~<version>([^<]+)~', file_get_contents("$folder/appinfo/info.xml"), $m) ? $m[1] : null;
}
function loaded(): bool {
	global $state;
	return ($state['apps']['remotekeystorage']['enabled'] ?? null) === 'yes' && appFolder() !== null;
}
/** Key files by name. */
function keysIn(string $folder): array {
	$found = [];
	foreach (glob("$folder/*.privateKey") as $path) {
		$found[basename($path)] = file_get_contents($path);
	}
	return $found;
}
function client(): ?array {
	global $state;
	$file = ($state['system']['remotekeystorage.dir'] ?? '') . '/client.json';
	return is_file($file) ? json_decode(file_get_contents($file), true) : null;
}
function moved(array $ids): void {
	global $state;
	$file = $state['system']['remotekeystorage.dir'] . '/client.json';
	put($file, json_encode(['keys' => array_values($ids)] + client()));
}

$disk = "$base/data/files_encryption/OC_DEFAULT_MODULE";
$away = "$base/keyserver";

if (str_starts_with($command, 'remotekey:') && !loaded()) {
	fwrite(STDERR, "There are no commands defined in the \"remotekey\" namespace.\n");
	exit(1);
}

switch ($command . ' ' . implode(' ', preg_grep('/^--stage=/', $args))) {
	case 'status ':
		$installed = $state['apps']['remotekeystorage']['installed_version'] ?? null;
		answer([
			'installed' => true,
			'maintenance' => $state['system']['maintenance'] ?? false,
			'needsDbUpgrade' => loaded() && $installed !== versionOf(appFolder()),
		]);
	case 'config:list ':
		$apps = isset($args[0]) ? array_intersect_key($state['apps'], [$args[0] => 1]) : $state['apps'];
		answer(['system' => $state['system'], 'apps' => $apps === [] ? new stdClass() : $apps]);
	case 'config:system:get ':
		if (!array_key_exists($args[0], $state['system'])) {
			exit(1);
		}
		$value = $state['system'][$args[0]];
		echo $json ? json_encode($value) : (is_bool($value) ? var_export($value, true) : $value), "\n";
		exit(0);
	case 'config:import ':
		foreach (json_decode(stream_get_contents(STDIN), true)['system'] as $name => $value) {
			$state['system'][$name] = $value;
			if ($value === null) {
				unset($state['system'][$name]);
			}
		}
		save();
		exit(0);
	case 'config:app:get ':
		if (!isset($state['apps'][$args[0]][$args[1]])) {
			exit(1);
		}
		echo $state['apps'][$args[0]][$args[1]], "\n";
		exit(0);
	case 'config:app:set ':
		$state['apps'][$args[0]][$args[1]] = substr($args[2], strlen('--value='));
		save();
		exit(0);
	case 'config:app:delete ':
		unset($state['apps'][$args[0]][$args[1]]);
		if (($state['apps'][$args[0]] ?? null) === []) {
			unset($state['apps'][$args[0]]);
		}
		save();
		exit(0);
	case 'app:enable ':
		if (appFolder() === null) {
			exit(1);
		}
		$state['apps'][$args[0]] = ['enabled' => 'yes'] + ($state['apps'][$args[0]] ?? []) + ['installed_version' => versionOf(appFolder()), 'types' => ''];
		save();
		exit(0);
	case 'app:disable ':
		$state['apps'][$args[0]]['enabled'] = 'no';
		save();
		exit(0);
	case 'app:getpath ':
		echo appFolder(), "\n";
		exit(appFolder() === null ? 1 : 0);
	case 'maintenance:mode ':
		$state['system']['maintenance'] = $args[0] === '--on';
		save();
		exit(0);
	case 'upgrade ':
		$state['apps']['remotekeystorage']['installed_version'] = versionOf(appFolder());
		save();
		exit(0);
	case 'background-job:list ':
		answer([]);
	case 'remotekey:status ':
		answer([
			'enrolled' => client() !== null,
			'clientId' => client()['clientId'] ?? null,
			'urls' => client()['urls'] ?? [],
			'keys' => client()['keys'] ?? [],
			'hook' => 'app',
			'version' => versionOf(appFolder()),
			'sessionsKeyFree' => true,
			'problems' => [],
		]);
	case 'remotekey:verify ':
		answer(['release' => true, 'decrypt' => true, 'ms' => 1, 'verdict' => 'opens']);
	case 'remotekey:forget ':
		answer(['forgotten' => true]);
	case 'remotekey:escrow --stage=preflight':
		$ids = array_unique([...array_keys(keysIn($disk)), ...(client()['keys'] ?? [])]);
		sort($ids);
		answer([
			'mode' => 'master',
			'masterKeyId' => 'master_1',
			'privateKeys' => array_map(fn ($id) => [
				'id' => $id,
				'bytes' => 1,
				'sha256' => '',
				'local' => isset(keysIn($disk)[$id]),
				'remote' => in_array($id, client()['keys'] ?? [], true),
				'opens' => true,
			], $ids),
			'foreignShareKeys' => 0,
			'sample' => ['a'],
			'problems' => [],
		]);
	case 'remotekey:escrow --stage=store':
		$given = json_decode(stream_get_contents(STDIN), true);
		foreach (keysIn($disk) as $id => $key) {
			if (!is_file("$away/$id")) {
				($given['grant'] ?? null) === 'the-grant' || refuse('grant_refused');
				put("$away/$id", $key);
			}
		}
		answer(['keys' => array_map(fn ($id, $key) => [
			'id' => $id,
			'sha256' => hash('sha256', $key),
			'key' => base64_encode($key),
		], array_keys(keysIn($away)), keysIn($away))]);
	case 'remotekey:escrow --stage=prove':
		answer(['release' => true, 'pair' => keysIn($away) !== [], 'files' => 3]);
	case 'remotekey:escrow --stage=remove':
		moved(array_keys(keysIn($away)));
		$removed = array_keys(array_intersect_key(keysIn($disk), keysIn($away)));
		foreach ($removed as $id) {
			unlink("$disk/$id");
		}
		answer(['removed' => $removed, 'copies' => []]);
	case 'remotekey:restore --stage=write':
		$given = json_decode(stream_get_contents(STDIN), true)['keys'] ?? null;
		$source = $given === null ? keysIn($away) : array_map(base64_decode(...), $given);
		$written = array_diff_key($source, keysIn($disk));
		foreach ($written as $id => $key) {
			put("$disk/$id", $key);
		}
		answer([
			'written' => array_keys($written),
			'present' => [],
			'missing' => array_values(array_diff(client()['keys'] ?? [], array_keys(keysIn($disk)))),
		]);
	case 'remotekey:restore --stage=finish':
		$restored = client()['keys'] ?? [];
		if ($restored !== []) {
			moved([]);
		}
		answer(['restored' => $restored, 'decrypt' => true, 'files' => 3]);
	default:
		fwrite(STDERR, "the stand-in does not know this command: $command\n");
		exit(64);
}

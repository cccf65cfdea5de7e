import type { Platform } from '../store/schema.ts';
import { powershellQuote, shQuote } from './quote.ts';

export interface ScriptPlace {
  /** Where the script is fetched, once. */
  readonly url: string;
  /** `sha256//BASE64` of the hub's public key when its certificate is its own, else `''`. */
  readonly pin: string;
}

export interface CheckedScript extends ScriptPlace {
  /** Of the script's bytes, hex. */
  readonly sha256: string;
  /** Ed25519 over the script's bytes, base64. */
  readonly signature: string;
  /** PEM. */
  readonly signingKey: string;
}

/** One line for a terminal: fetches the script and runs it. On Windows for a PowerShell of an administrator. */
export function installCommand(platform: Platform, place: ScriptPlace): string {
  if (platform === 'windows') return powershellInstall(place);
  // whoever looks after a Proxmox machine is root there, and it has no sudo
  return `${curl(place)} | ${platform === 'proxmox' ? 'sh' : 'sudo sh'}`;
}

/**
 * Lines for a terminal: fetches the script into a file that is kept, runs it only when it is the one that the hub has shown, to be told by its
 * SHA-256 and, where there is an openssl that can, by the signature of the hub.
 */
export function verifiedCommand(platform: Platform, script: CheckedScript): string {
  return platform === 'windows' ? powershellVerified(script) : shVerified(script);
}

function curl({ url, pin }: ScriptPlace): string {
  const trust = pin === '' ? '' : ` -k --pinnedpubkey ${shQuote(pin)}`;
  return `curl -fsSL${trust} ${shQuote(url)}`;
}

/** A folder of the caller's own, so that nobody can put another script there between looking at it and running it. */
function shVerified(script: CheckedScript): string {
  return `sh <<'LATCHKEY'
set -eu
umask 077
d=$(mktemp -d "$HOME/latchkey.XXXXXXXX")
refuse() { rm -rf "$d"; echo "error: $1" >&2; echo 'hint: nothing was run; have a new token made' >&2; exit 1; }
${curl(script)} -o "$d/install.sh" || refuse 'the script could not be fetched'
if command -v sha256sum >/dev/null; then s=$(sha256sum <"$d/install.sh"); else s=$(shasum -a 256 <"$d/install.sh"); fi
[ "\${s%% *}" = ${shQuote(script.sha256)} ] || refuse 'this is not the script that the hub has shown: its SHA-256 is another'
if openssl pkeyutl -help 2>&1 | grep -q rawin; then
  printf '%s\\n' ${shQuote(script.signingKey.trim())} >"$d/key.pem"
  echo ${shQuote(script.signature)} | openssl base64 -d -A >"$d/signature"
  openssl pkeyutl -verify -pubin -inkey "$d/key.pem" -rawin -in "$d/install.sh" -sigfile "$d/signature" >/dev/null 2>&1 ||
    refuse 'the script is not signed by the hub'
else
  echo 'warning: there is no openssl 3 here: the SHA-256 was checked, the signature was not' >&2
fi
echo "checked; the script is kept as $d/install.sh"
if [ "$(id -u)" = 0 ]; then sh "$d/install.sh" </dev/null; else sudo sh "$d/install.sh" </dev/null; fi
LATCHKEY`;
}

/** Windows PowerShell 5 knows no pins; the curl of Windows does. */
function powershellInstall({ url, pin }: ScriptPlace): string {
  if (pin === '') return `${TLS_12}; irm -UseBasicParsing ${powershellQuote(url)} | iex`;
  return `curl.exe -fsSL -k --pinnedpubkey ${powershellQuote(pin)} ${powershellQuote(url)} | Out-String | iex`;
}

/** Not offered by itself before Windows Server 2019. */
const TLS_12 = "[Net.ServicePointManager]::SecurityProtocol = 'Tls12'";

function powershellVerified({ url, pin, sha256, signature, signingKey }: CheckedScript): string {
  const fetch =
    pin === ''
      ? `  ${TLS_12}
  Invoke-WebRequest -UseBasicParsing -Uri ${powershellQuote(url)} -OutFile $f`
      : `  curl.exe -fsSL -k --pinnedpubkey ${powershellQuote(pin)} -o $f ${powershellQuote(url)}
  if ($LASTEXITCODE -ne 0) { throw 'the script could not be fetched' }`;
  return `& {
  $ErrorActionPreference = 'Stop'
  $d = (New-Item -ItemType Directory -Path (Join-Path $HOME "latchkey.$([guid]::NewGuid().ToString('N'))")).FullName
  $f = Join-Path $d 'install.ps1'
${fetch}
  if ((Get-FileHash -Algorithm SHA256 -LiteralPath $f).Hash -ne ${powershellQuote(sha256)}) { throw 'this is not the script that the hub has shown: its SHA-256 is another' }
  if (Get-Command openssl -ErrorAction SilentlyContinue) {
    [IO.File]::WriteAllText("$d\\key.pem", ${powershellQuote(`${signingKey.trim()}\n`)})
    [IO.File]::WriteAllBytes("$d\\signature", [Convert]::FromBase64String(${powershellQuote(signature)}))
    openssl pkeyutl -verify -pubin -inkey "$d\\key.pem" -rawin -in $f -sigfile "$d\\signature" | Out-Null
    if ($LASTEXITCODE -ne 0) { throw 'the script is not signed by the hub' }
  } else { Write-Warning 'there is no openssl here: the SHA-256 was checked, the signature was not' }
  Write-Host "checked; the script is kept as $f"
  powershell.exe -NoProfile -ExecutionPolicy Bypass -File $f
}`;
}

# Makes this Windows machine a spoke of a WireGuard hub kept by Latchkey, or says why not and leaves it as it was.
# For PowerShell 5.1 and 7, as administrator. As a file:
#   powershell -ExecutionPolicy Bypass -File THIS.ps1 [-Tunnel NAME] [-Uninstall] [-Help]
# Where it is piped into iex, which takes no parameters: $env:LATCHKEY_TUNNEL = 'NAME', $env:LATCHKEY_UNINSTALL = '1', $env:LATCHKEY_HELP = '1'.
# It is ASCII throughout, since Windows PowerShell takes a file without a byte order mark for text of the system's code page; it ends by
# returning or by throwing, so that the window it was pasted into stays open; and it is one block, so that half a download does nothing.
param(
    [string]$Tunnel = '',
    [switch]$Uninstall,
    [switch]$Help
)

& {
    param([string]$WishedTunnel, [bool]$TakesAway, [bool]$OnlyHelps)

    Set-StrictMode -Version 2
    $ErrorActionPreference = 'Stop'
    $ProgressPreference = 'SilentlyContinue'
    if ([string]$ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
        throw 'this PowerShell is restricted by policy: run the installer where scripts have the full language'
    }

# @@values@@

    $state = @{ Done = $false; Hint = ''; PrivateKey = ''; PublicKey = ''; ConfigText = ''; HubAddresses = @(); HandshakeWithin = 30; Installed = $false }
    $undoList = New-Object -TypeName System.Collections.ArrayList

    function Write-Note {
        param([string]$Text)
        Write-Host ($Text -replace '[\p{Cc}\p{Cf}]', '?')
    }

    function Stop-Run {
        param([string]$What, [string]$Hint = '')
        $state.Hint = $Hint
        throw $What
    }

    # Every change is made in here: what takes it back is noted before it is begun.
    function Invoke-Step {
        param([string]$What, [string]$UndoWhat, [scriptblock]$Undo, [scriptblock]$Do)
        Write-Note ('[#] ' + $What)
        [void]$undoList.Add(@{ What = $UndoWhat; Action = $Undo })
        & $Do
    }

    function Invoke-UndoList {
        Write-Note 'undoing what was done'
        $left = 0
        for ($at = $undoList.Count - 1; $at -ge 0; $at--) {
            $entry = $undoList[$at]
            Write-Note ('[#] ' + $entry.What)
            try {
                & $entry.Action
            } catch {
                $left++
                Write-Note ('error: could not be undone: ' + $entry.What + ': ' + $_.Exception.Message)
            }
        }
        if ($left -eq 0) { Write-Note 'everything is as it was before' }
    }

    # The rules of CommandLineToArgvW, by which programs take their command line apart.
    function ConvertTo-CommandLine {
        param([string[]]$Arguments)
        $quoted = foreach ($one in $Arguments) {
            if ($one -match '^[^\s"]+$') { $one } else { '"' + (($one -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1') + '"' }
        }
        return (@($quoted) -join ' ')
    }

    # The only place that starts programs. What they print is taken as UTF-8, what they are given is ASCII and goes to standard input;
    # an exit code that is not expected ends the run. Never given a secret as an argument.
    function Invoke-Native {
        param([string]$File, [string[]]$Arguments, [string]$Stdin = '', [int]$Seconds = 60, [int[]]$Expected = @(0), [switch]$AnyExit)
        $leaf = [IO.Path]::GetFileName($File)
        if (-not $AnyExit) { Write-Note ('[#] ' + $leaf + ' ' + ($Arguments -join ' ')) }
        $start = New-Object -TypeName System.Diagnostics.ProcessStartInfo
        $start.FileName = $File
        $start.Arguments = ConvertTo-CommandLine $Arguments
        $start.UseShellExecute = $false
        $start.CreateNoWindow = $true
        $start.RedirectStandardInput = $true
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        $start.StandardOutputEncoding = New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false
        # .NET Framework begins the standard input of a program with the byte order mark of the console's encoding, where that has one
        if ([Console]::InputEncoding.GetPreamble().Length -gt 0) {
            try {
                [Console]::InputEncoding = New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false
            } catch {
                Write-Note 'this session has no console'
            }
        }
        $process = [Diagnostics.Process]::Start($start)
        try {
            $output = $process.StandardOutput.ReadToEndAsync()
            $problems = $process.StandardError.ReadToEndAsync()
            $bytes = [Text.Encoding]::ASCII.GetBytes($Stdin)
            try {
                $process.StandardInput.BaseStream.Write($bytes, 0, $bytes.Length)
                $process.StandardInput.Close()
            } catch {
                Write-Note ($leaf + ' did not read what it was given')
            }
            if (-not $process.WaitForExit($Seconds * 1000)) {
                $process.Kill()
                Stop-Run ('{0} did not end within {1} seconds' -f $leaf, $Seconds)
            }
            # a program that it left behind may hold its output open
            [void][Threading.Tasks.Task]::WaitAll([Threading.Tasks.Task[]]@($output, $problems), 5000)
            $text = ''
            $said = ''
            if ($output.IsCompleted) { $text = $output.Result }
            if ($problems.IsCompleted) { $said = $problems.Result.Trim() }
            $code = $process.ExitCode
        } finally {
            $process.Dispose()
        }
        if (-not $AnyExit -and $Expected -notcontains $code) { Stop-Run ('{0} ended with {1}: {2}' -f $leaf, $code, $said) }
        return @{ ExitCode = $code; Text = $text; Problems = $said }
    }

    # A field of an answer, or ''.
    function Get-Field {
        param($From, [string]$Name)
        if ($null -eq $From) { return '' }
        $property = $From.PSObject.Properties[$Name]
        if ($null -eq $property -or $null -eq $property.Value) { return '' }
        return $property.Value
    }

    function ConvertFrom-Answer {
        param([string]$Text)
        try { return (ConvertFrom-Json -InputObject $Text) } catch { return $null }
    }

    # Whether this curl looks at pins: those of Windows 10 before 2019 took the option and did not.
    function Assert-Pinning {
        $wrong = 'sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
        $tried = Invoke-Native -File $curl -Seconds 40 -AnyExit -Arguments @(
            '-q', '--silent', '--show-error', '--insecure', '--pinnedpubkey', $wrong, '--proto', '=https', '--max-time', '30', '--head', $HubUrl)
        if ($tried.ExitCode -eq 90) { return }
        if ($tried.ExitCode -eq 0) {
            Stop-Run 'curl.exe of this machine does not check public keys' 'bring Windows up to date, or give the hub a certificate that is known'
        }
        Stop-Run ('the hub at {0} was not reached: {1}' -f $HubUrl, $tried.Problems) 'look whether this machine reaches the address, and try again'
    }

    # Asks the hub; its status and what it said, whatever the status. The body is of ASCII.
    function Invoke-Hub {
        param([string]$Path, [hashtable]$Body)
        $json = ConvertTo-Json -Compress -InputObject $Body
        $uri = $HubUrl + $Path
        Write-Note ('[#] POST ' + $uri)
        if ($HubPin -ne '') {
            $asked = Invoke-Native -File $curl -Seconds 40 -AnyExit -Stdin $json -Arguments @(
                '-q', '--silent', '--show-error', '--insecure', '--pinnedpubkey', $HubPin, '--proto', '=https', '--max-time', '30',
                '--header', 'Content-Type: application/json', '--header', 'Accept: application/json',
                '--data-binary', '@-', '--write-out', '\n%{http_code}', $uri)
            if ($asked.ExitCode -ne 0) {
                Stop-Run ('the hub at {0} was not reached: {1}' -f $HubUrl, $asked.Problems) 'look whether this machine reaches the address, and whether the hub has another certificate by now'
            }
            $cut = $asked.Text.LastIndexOf([char]10)
            return @{ Status = [int]$asked.Text.Substring($cut + 1); Answer = (ConvertFrom-Answer ($asked.Text.Substring(0, $cut))) }
        }
        try {
            $headers = @{ Accept = 'application/json' }
            $answer = Invoke-RestMethod -Method Post -Uri $uri -Headers $headers -ContentType 'application/json' -Body $json -TimeoutSec 30 -MaximumRedirection 0 -UseBasicParsing
            return @{ Status = 200; Answer = $answer }
        } catch {
            $response = Get-Field $_.Exception 'Response'
            if ($response -eq '') {
                Stop-Run ('the hub at {0} was not reached: {1}' -f $HubUrl, $_.Exception.Message) 'look whether this machine reaches the address, and try again'
            }
            $said = ''
            if ($null -ne $_.ErrorDetails) { $said = $_.ErrorDetails.Message }
            return @{ Status = [int]$response.StatusCode; Answer = (ConvertFrom-Answer $said) }
        }
    }

    function Stop-Refused {
        param([hashtable]$Asked)
        $words = Get-Field $Asked.Answer 'error'
        if ($words -eq '') { $words = 'no reason given' }
        Stop-Run ('the hub refused: {0} ({1})' -f $words, $Asked.Status) (Get-Field $Asked.Answer 'recoveryHint')
    }

    # Throws unless nobody but SYSTEM and Administrators has any right to it, and it belongs to one of them.
    function Assert-Guarded {
        param([string]$Path)
        $found = Get-Acl -LiteralPath $Path
        $trusted = @('S-1-5-18', 'S-1-5-32-544')
        $sids = @($found.GetOwner([Security.Principal.SecurityIdentifier]).Value)
        foreach ($rule in $found.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) { $sids += $rule.IdentityReference.Value }
        foreach ($sid in $sids) {
            if ($trusted -notcontains $sid) {
                Stop-Run ('{0} is open to {1}, who is neither SYSTEM nor Administrators' -f $Path, $sid) 'it was not made by this installer, or somebody changed its rights: look at it, and remove it'
            }
        }
        if (-not $found.AreAccessRulesProtected) {
            Stop-Run ('{0} inherits rights' -f $Path) 'it was not made by this installer: look at it, and remove it'
        }
    }

    # Gives it to SYSTEM and Administrators, by their SIDs: their names are other ones in other languages. Looked at again afterwards.
    function Set-Guard {
        param([string]$Path, $Security, [string]$Inheritance)
        $Security.SetSecurityDescriptorSddlForm(('O:BAG:BAD:P(A;{0};FA;;;SY)(A;{0};FA;;;BA)' -f $Inheritance))
        Set-Acl -LiteralPath $Path -AclObject $Security
        Assert-Guarded $Path
    }

    # Names that wireguard.exe takes for a tunnel: Windows keeps some for devices, whatever comes behind a dot.
    function Assert-TunnelName {
        param([string]$Name)
        $device = '^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)'
        if ($Name -cnotmatch '^[a-zA-Z0-9_=+-]([a-zA-Z0-9_=+.-]{0,30}[a-zA-Z0-9_=+-])?\z' -or $Name -match $device) {
            Stop-Run ('"{0}" cannot be the name of a tunnel on Windows' -f $Name) 'give -Tunnel NAME: up to 32 letters, digits and _=+.-, no dot at its ends, and not what Windows calls its devices'
        }
    }

    function Assert-Machine {
        if ($env:OS -ne 'Windows_NT') { Stop-Run 'this is not Windows' 'have a token made for this platform' }
        if ($PSVersionTable.PSVersion.Major -lt 5) {
            Stop-Run ('PowerShell 5 or later is needed, this is {0}' -f $PSVersionTable.PSVersion) 'install Windows Management Framework 5.1'
        }
        if (-not [Environment]::Is64BitOperatingSystem) { Stop-Run 'Windows of 64 bit is needed' }
        if (-not [Environment]::Is64BitProcess) {
            Stop-Run 'this is the PowerShell of 32 bit' 'start "Windows PowerShell", not "Windows PowerShell (x86)"; fetching has used the token up, make a new one'
        }
        if ([Environment]::OSVersion.Version.Major -lt 10) { Stop-Run 'Windows 10, Server 2016 or later is needed' }
        $user = New-Object -TypeName System.Security.Principal.WindowsPrincipal -ArgumentList ([Security.Principal.WindowsIdentity]::GetCurrent())
        if (-not $user.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
            Stop-Run 'administrator rights are needed' 'open PowerShell by "Run as administrator" and run the kept script there; where none was kept, make a new token: fetching has used this one up'
        }
    }

    # What the machine is, not what this process was started as: PowerShell for x64 also runs on ARM.
    function Get-Architecture {
        $machine = Get-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment' -Name 'PROCESSOR_ARCHITECTURE'
        if ($machine.PROCESSOR_ARCHITECTURE -eq 'AMD64') { return 'amd64' }
        if ($machine.PROCESSOR_ARCHITECTURE -eq 'ARM64') { return 'arm64' }
        Stop-Run ('there is no WireGuard for {0}' -f $machine.PROCESSOR_ARCHITECTURE)
    }

    function Get-TunnelService {
        return (Get-Service -Name $serviceName -ErrorAction SilentlyContinue)
    }

    function Test-WireGuard {
        return ((Test-Path -LiteralPath $wireguard -PathType Leaf) -and (Test-Path -LiteralPath $wg -PathType Leaf))
    }

    function Install-ByWinget {
        param([string]$Winget)
        $tried = Invoke-Native -File $Winget -Seconds 900 -AnyExit -Arguments @(
            'install', '--id', 'WireGuard.WireGuard', '--exact', '--source', 'winget', '--silent',
            '--accept-package-agreements', '--accept-source-agreements')
        if ($tried.ExitCode -ne 0) { Write-Note ('winget ended with {0}: the MSI is taken instead' -f $tried.ExitCode) }
    }

    # The newest MSI of its makers, run only when they signed it. It lies in the guarded folder, where nobody exchanges it in between.
    function Install-ByMsi {
        $architecture = Get-Architecture
        $page = (Invoke-WebRequest -Uri $downloads -UseBasicParsing -TimeoutSec 60).Content
        $names = @([regex]::Matches($page, ('wireguard-' + $architecture + '-([0-9]+(\.[0-9]+){1,3})\.msi')))
        if ($names.Count -eq 0) {
            Stop-Run ('{0} names no MSI for {1}' -f $downloads, $architecture) 'install WireGuard by hand and run this again'
        }
        $newest = $names | Sort-Object -Property { [version]$_.Groups[1].Value } | Select-Object -Last 1
        Write-Note ('[#] GET ' + $downloads + $newest.Value)
        Invoke-WebRequest -Uri ($downloads + $newest.Value) -OutFile $msi -UseBasicParsing -TimeoutSec 600
        $signature = Get-AuthenticodeSignature -LiteralPath $msi
        $signer = ''
        if ($null -ne $signature.SignerCertificate) {
            $signer = $signature.SignerCertificate.GetNameInfo([Security.Cryptography.X509Certificates.X509NameType]::SimpleName, $false)
        }
        if ([string]$signature.Status -cne 'Valid' -or $signer -cne 'WireGuard LLC') {
            Stop-Run ('{0} is not signed by WireGuard LLC ({1}, "{2}")' -f $newest.Value, $signature.Status, $signer) 'do not run it; look what stands between this machine and download.wireguard.com'
        }
        [void](Invoke-Native -File $msiexec -Seconds 900 -Expected @(0, 3010) -Arguments @('/i', $msi, '/qn', '/norestart', 'DO_NOT_LAUNCH=1'))
    }

    # Whoever put it there: winget installs the same MSI.
    function Uninstall-WireGuard {
        $keys = Get-ChildItem -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall'
        $products = @($keys | Where-Object { $_.GetValue('DisplayName') -eq 'WireGuard' -and $_.PSChildName -match '^\{[0-9A-F-]{36}\}$' })
        foreach ($product in $products) {
            [void](Invoke-Native -File $msiexec -Seconds 900 -Expected @(0, 1605, 3010) -Arguments @('/x', $product.PSChildName, '/qn', '/norestart'))
        }
    }

    function Remove-Tunnel {
        if ($null -eq (Get-TunnelService)) { return }
        [void](Invoke-Native -File $wireguard -Arguments @('/uninstalltunnelservice', $Tunnel))
        $until = [DateTime]::UtcNow.AddSeconds(30)
        while ($null -ne (Get-TunnelService)) {
            if ([DateTime]::UtcNow -gt $until) { Stop-Run ('the service {0} did not go' -f $serviceName) }
            Start-Sleep -Milliseconds 300
        }
    }

    function Remove-OwnFolder {
        if (-not [IO.Directory]::Exists($folder)) { return }
        if (@([IO.Directory]::GetFileSystemEntries($folder)).Count -eq 0) { [IO.Directory]::Delete($folder, $false) }
    }

    # What the hub sent, with the private key: only lines that only say how to reach it. Nothing of it runs anything.
    function Get-Configuration {
        $known = @{
            '[Interface]' = @('Address', 'DNS', 'MTU')
            '[Peer]' = @('PublicKey', 'PresharedKey', 'AllowedIPs', 'Endpoint', 'PersistentKeepalive')
        }
        $lines = @($firstLine)
        if ($state.Installed) { $lines += $installedLine }
        $section = ''
        $seen = @()
        foreach ($line in ($state.ConfigText -split '\r?\n')) {
            if ($line -match '^\s*(#.*)?$') { continue }
            if ($known.ContainsKey($line.Trim())) {
                $section = $line.Trim()
                if ($seen -contains $section) { Stop-Run ('the hub sent two of {0}' -f $section) 'nothing of it was used' }
                $seen += $section
                $lines += $section
                if ($section -eq '[Interface]') { $lines += 'PrivateKey = ' + $state.PrivateKey }
                continue
            }
            if ($section -eq '' -or $line -notmatch '^\s*([A-Za-z]+)\s*=\s*([A-Za-z0-9+/=.:,_%\[\] -]+?)\s*$' -or $known[$section] -notcontains $Matches[1]) {
                Stop-Run 'the hub sent a line that is not known here' 'nothing of it was used; look at the log of the hub'
            }
            $setting = $section + $Matches[1]
            $lines += '{0} = {1}' -f $Matches[1], $Matches[2]
            if ($seen -contains $setting) { Stop-Run ('the hub sent two of {0}' -f $setting) 'nothing of it was used' }
            $seen += $setting
        }
        foreach ($needed in @('[Interface]Address', '[Peer]PublicKey', '[Peer]AllowedIPs', '[Peer]Endpoint')) {
            if ($seen -notcontains $needed) { Stop-Run ('what the hub sent lacks {0}' -f $needed) 'nothing of it was used' }
        }
        return (($lines -join [Environment]::NewLine) + [Environment]::NewLine)
    }

    function Test-Handshake {
        $shown = Invoke-Native -File $wg -AnyExit -Arguments @('show', $Tunnel, 'latest-handshakes')
        return ($shown.ExitCode -eq 0 -and $shown.Text -match '\t[1-9][0-9]*\s*$')
    }

    # Returns once the hub has answered: something is sent, since WireGuard is silent until then.
    function Wait-Handshake {
        $until = [DateTime]::UtcNow.AddSeconds($state.HandshakeWithin)
        $pinger = New-Object -TypeName System.Net.NetworkInformation.Ping
        while (-not (Test-Handshake)) {
            if ([DateTime]::UtcNow -gt $until) {
                Stop-Run ('the hub did not answer through the tunnel within {0} seconds' -f $state.HandshakeWithin) 'look whether UDP to the endpoint of the hub is let out of this network and into that one'
            }
            foreach ($address in $state.HubAddresses) {
                try { [void]$pinger.Send($address, 1000) } catch { continue }
            }
            Start-Sleep -Milliseconds 500
        }
    }

    function Install-TunnelService {
        [void](Invoke-Native -File $wireguard -Arguments @('/installtunnelservice', $config))
        $until = [DateTime]::UtcNow.AddSeconds(30)
        $service = Get-TunnelService
        while ($null -eq $service -or [string]$service.Status -ne 'Running') {
            if ([DateTime]::UtcNow -gt $until) {
                Stop-Run ('the service {0} does not run' -f $serviceName) 'see why: wireguard.exe /dumplog'
            }
            Start-Sleep -Milliseconds 300
            $service = Get-TunnelService
        }
    }

    # True when the file is the one that this installer made for this spoke.
    function Test-OwnConfig {
        return ((Test-Path -LiteralPath $config -PathType Leaf) -and @(Get-Content -LiteralPath $config -TotalCount 1) -ccontains $firstLine)
    }

    # Throws where somebody else has the name.
    function Assert-NameFree {
        $other = 'give -Tunnel NAME (where this is piped into iex: $env:LATCHKEY_TUNNEL = ''NAME'') to call the tunnel otherwise'
        foreach ($path in @($config, (Join-Path $managed ($Tunnel + '.conf')), (Join-Path $managed ($Tunnel + '.conf.dpapi')))) {
            if (Test-Path -LiteralPath $path) { Stop-Run ('{0} is there and is not of this spoke' -f $path) $other }
        }
        if ($null -ne (Get-TunnelService)) { Stop-Run ('there is a tunnel {0} that is not of this spoke' -f $Tunnel) $other }
        foreach ($card in [Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces()) {
            if ($card.Name -eq $Tunnel) { Stop-Run ('there is a network connection {0}' -f $Tunnel) $other }
        }
    }

    function Install-Spoke {
        if (Test-OwnConfig) {
            $service = Get-TunnelService
            if ($null -ne $service -and [string]$service.Status -eq 'Running') {
                Write-Note ('everything is in place: {0} is up, and nothing was changed' -f $Tunnel)
                return
            }
            if (-not (Test-WireGuard)) {
                Stop-Run ('{0} is there, WireGuard is not' -f $config) 'install WireGuard and run this again, or run it with -Uninstall first'
            }
            if ($null -ne $service) {
                Invoke-Step -What ('start the service ' + $serviceName) -UndoWhat ('stop the service ' + $serviceName) -Undo {
                    Stop-Service -Name $serviceName
                } -Do {
                    Start-Service -Name $serviceName
                }
            } else {
                Invoke-Step -What ('install the service ' + $serviceName) -UndoWhat ('take the service ' + $serviceName + ' away') -Undo {
                    Remove-Tunnel
                } -Do {
                    Install-TunnelService
                }
            }
            Write-Note ('{0} was installed before; it is up again' -f $Tunnel)
            return
        }
        Assert-NameFree
        if ($HubPin -ne '') {
            if (-not (Test-Path -LiteralPath $curl -PathType Leaf)) {
                Stop-Run 'the hub has a certificate of its own, and this machine has no curl.exe to check it' 'bring Windows up to date, or give the hub a certificate that is known'
            }
            Assert-Pinning
        }

        if ([IO.Directory]::Exists($folder)) {
            Assert-Guarded $folder
        } else {
            Invoke-Step -What ('make ' + $folder + ' for SYSTEM and Administrators alone') -UndoWhat ('remove ' + $folder) -Undo {
                Remove-OwnFolder
            } -Do {
                [void](New-Item -ItemType Directory -Path $folder)
                Set-Guard $folder (New-Object -TypeName System.Security.AccessControl.DirectorySecurity) 'OICI'
            }
        }

        if (-not (Test-WireGuard)) {
            Invoke-Step -What 'install WireGuard' -UndoWhat 'uninstall WireGuard' -Undo {
                Uninstall-WireGuard
                [IO.File]::Delete($msi)
            } -Do {
                $winget = @(Get-Command -Name 'winget.exe' -CommandType Application -ErrorAction SilentlyContinue)
                if ($winget.Count -gt 0) { Install-ByWinget $winget[0].Path }
                if (-not (Test-WireGuard)) { Install-ByMsi }
                if (-not (Test-WireGuard)) { Stop-Run ('WireGuard was installed, and {0} is not there' -f $wg) }
                [IO.File]::Delete($msi)
                $state.Installed = $true
            }
        }

        $state.PrivateKey = (Invoke-Native -File $wg -Arguments @('genkey')).Text.Trim()
        $state.PublicKey = (Invoke-Native -File $wg -Arguments @('pubkey') -Stdin $state.PrivateKey).Text.Trim()
        foreach ($key in @($state.PrivateKey, $state.PublicKey)) {
            if ($key -cnotmatch '^[A-Za-z0-9+/]{43}=\z') { Stop-Run 'wg.exe made no keys' }
        }

        Invoke-Step -What ('make ' + $config + ' for SYSTEM and Administrators alone') -UndoWhat ('remove ' + $config) -Undo {
            [IO.File]::Delete($config)
        } -Do {
            [void](New-Item -ItemType File -Path $config)
            Set-Guard $config (New-Object -TypeName System.Security.AccessControl.FileSecurity) ''
        }

        Invoke-Step -What ('register at ' + $HubUrl) -UndoWhat 'take the spoke back from the hub' -Undo {
            $asked = Invoke-Hub '/api/spoke/withdraw' @{ token = $Token; publicKey = $state.PublicKey }
            if (@(200, 404, 410) -notcontains $asked.Status) { Stop-Refused $asked }
        } -Do {
            $os = ('Windows ' + [Environment]::OSVersion.Version + ' ' + (Get-Architecture)) -replace '[^ -~]', '?'
            $asked = Invoke-Hub '/api/spoke/register' @{ token = $Token; publicKey = $state.PublicKey; os = $os }
            if ($asked.Status -lt 200 -or $asked.Status -gt 299) { Stop-Refused $asked }
            $facts = Get-Field $asked.Answer 'config'
            $given = [string](Get-Field (Get-Field $asked.Answer 'spoke') 'id')
            if ($given -cne $SpokeId) { Stop-Run 'the hub sent a configuration for another spoke' 'nothing of it was used' }
            $state.ConfigText = [string](Get-Field $asked.Answer 'configText')
            $state.HubAddresses = @(Get-Field $facts 'hubAddresses')
            $state.HandshakeWithin = [int](Get-Field $facts 'handshakeWithin')
            if ($state.HandshakeWithin -lt 1 -or $state.HandshakeWithin -gt 999) {
                Stop-Run 'the hub did not say how long to wait for it' 'nothing of what it sent was used'
            }
        }

        Invoke-Step -What ('write ' + $config) -UndoWhat ('empty ' + $config) -Undo {
            [IO.File]::WriteAllText($config, '')
        } -Do {
            [IO.File]::WriteAllText($config, (Get-Configuration))
            Assert-Guarded $config
        }

        Invoke-Step -What ('install the service ' + $serviceName) -UndoWhat ('take the service ' + $serviceName + ' away') -Undo {
            Remove-Tunnel
        } -Do {
            Install-TunnelService
        }
        Wait-Handshake

        Write-Note ('this machine is the spoke "{0}" of "{1}": the tunnel {2} is up, and starts with Windows' -f $SpokeName, $HubName, $Tunnel)
        Write-Note ('  configuration  {0}' -f $config)
        Write-Note ('  service        {0}' -f $serviceName)
        Write-Note ('  look at it     & "{0}" show {1}' -f $wg, $Tunnel)
        Write-Note ('  take it away   & "{0}" /uninstalltunnelservice {1}; then remove the configuration' -f $wireguard, $Tunnel)
    }

    function Uninstall-Spoke {
        if (-not (Test-OwnConfig)) {
            if (Test-Path -LiteralPath $config) {
                Stop-Run ('{0} is not of this spoke' -f $config) 'nothing was changed; uninstall it with the script that made it'
            }
            Write-Note ('there is no {0}, so nothing was changed' -f $config)
            return
        }
        $broughtIt = @(Get-Content -LiteralPath $config) -ccontains $installedLine
        Remove-Tunnel
        [IO.File]::Delete($config)
        Remove-OwnFolder
        Write-Note ('{0} is gone; delete the spoke "{1}" at the hub too' -f $Tunnel, $SpokeName)
        if ($broughtIt) { Write-Note 'WireGuard, which was installed for it, stays: "Apps" in the settings of Windows removes it' }
    }

    function Write-Help {
        Write-Note ('Makes this machine a spoke of the WireGuard hub {0}, or takes that back.' -f $HubUrl)
        Write-Note '  -Tunnel NAME   what the tunnel is to be called here  ($env:LATCHKEY_TUNNEL = ''NAME'')'
        Write-Note '  -Uninstall     takes away what this script made      ($env:LATCHKEY_UNINSTALL = ''1'')'
        Write-Note '  -Help          this                                  ($env:LATCHKEY_HELP = ''1'')'
        Write-Note 'Run twice it changes nothing. When a step fails, everything before it is undone.'
    }

    if ($OnlyHelps -or $env:LATCHKEY_HELP -eq '1') {
        Write-Help
        return
    }

    try {
        Assert-Machine
        if ($WishedTunnel -ne '') { $Tunnel = $WishedTunnel } elseif ($env:LATCHKEY_TUNNEL) { $Tunnel = $env:LATCHKEY_TUNNEL }
        Assert-TunnelName $Tunnel

        # under Program Files, where only administrators make folders: whoever may make one under ProgramData could be there first and keep it.
        # Not among the configurations of WireGuard's own manager, which encrypts those and moves them: the service keeps the path as it is given.
        $folder = Join-Path $env:ProgramFiles 'Latchkey'
        $config = Join-Path $folder ($Tunnel + '.conf')
        $msi = Join-Path $folder 'wireguard.msi'
        $firstLine = '# spoke {0} of {1}, by Latchkey' -f $SpokeId, $HubUrl
        $installedLine = '# installed for it: WireGuard'
        # full paths: a shell that was open before the installation does not find them otherwise
        $wireguard = Join-Path $env:ProgramFiles 'WireGuard\wireguard.exe'
        $wg = Join-Path $env:ProgramFiles 'WireGuard\wg.exe'
        $managed = Join-Path $env:ProgramFiles 'WireGuard\Data\Configurations'
        $curl = Join-Path $env:SystemRoot 'System32\curl.exe'
        $msiexec = Join-Path $env:SystemRoot 'System32\msiexec.exe'
        $downloads = 'https://download.wireguard.com/windows-client/'
        $serviceName = 'WireGuardTunnel$' + $Tunnel

        # 0 leaves the choice to the system, which has TLS 1.2 and later; older settings lack it
        $protocols = [Net.ServicePointManager]::SecurityProtocol
        if ([int]$protocols -ne 0) { [Net.ServicePointManager]::SecurityProtocol = $protocols -bor [Net.SecurityProtocolType]::Tls12 }

        if ($TakesAway -or $env:LATCHKEY_UNINSTALL -eq '1') { Uninstall-Spoke } else { Install-Spoke }
        $state.Done = $true
    } catch {
        Write-Note ('error: ' + $_.Exception.Message)
        if ($state.Hint -ne '') { Write-Note ('hint: ' + $state.Hint) }
        throw
    } finally {
        # also reached by Ctrl+C
        if (-not $state.Done -and $undoList.Count -gt 0) { Invoke-UndoList }
    }
} $Tunnel $Uninstall.IsPresent $Help.IsPresent

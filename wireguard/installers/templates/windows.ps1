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

# @@part windows-steps@@

# @@part windows-native@@

# @@part windows-hub@@

# @@part windows-guard@@

# @@part windows-machine@@

# @@part windows-wireguard@@

# @@part windows-tunnel@@

# @@part windows-spoke@@

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

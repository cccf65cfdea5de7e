    function Get-TunnelService {
        return (Get-Service -Name $serviceName -ErrorAction SilentlyContinue)
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

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

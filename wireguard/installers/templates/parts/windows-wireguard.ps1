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

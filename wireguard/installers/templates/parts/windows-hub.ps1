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

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

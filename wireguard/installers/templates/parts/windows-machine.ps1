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

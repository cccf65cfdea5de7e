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

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

<#
.SYNOPSIS
Runs Catamaran's real-Windows kit and writes one report.

.DESCRIPTION
For Windows PowerShell 5.1 and newer, without Go and without administrator. It starts
one WSL distro and leaves nothing in it; it never terminates a distro, shuts WSL down,
or changes a setting. The report is one Markdown file; read it before you send it.

.PARAMETER Distro
A distro that may be started; the default distro without it.

.PARAMETER Report
Where the report goes.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File .\Run-Real.ps1 -Distro Ubuntu
#>
param(
    [string]$Distro = '',
    [string]$Report = (Join-Path (Get-Location) ('catamaran-real-{0:yyyyMMdd-HHmmss}.md' -f (Get-Date)))
)
$ErrorActionPreference = 'Stop'
$here = Split-Path -Parent $MyInvocation.MyCommand.Path
$arch = if ($env:PROCESSOR_ARCHITECTURE -eq 'ARM64') { 'arm64' } else { 'amd64' }
$lines = New-Object System.Collections.Generic.List[string]
$failed = 0

function Add-Line([string]$Text) { $lines.Add($Text) }

# Runs a program with a deadline and returns its output and exit code; never throws.
function Invoke-Bounded([string]$File, [string]$Arguments, [int]$Seconds) {
    $info = New-Object System.Diagnostics.ProcessStartInfo
    $info.FileName = $File
    $info.Arguments = $Arguments
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $info.RedirectStandardInput = $true
    $info.RedirectStandardOutput = $true
    $info.RedirectStandardError = $true
    $info.StandardOutputEncoding = [System.Text.Encoding]::UTF8
    $info.StandardErrorEncoding = [System.Text.Encoding]::UTF8
    $info.WorkingDirectory = $here
    if ($Distro -ne '') { $info.EnvironmentVariables['CATAMARAN_REAL_DISTRO'] = $Distro }
    $info.EnvironmentVariables['WSL_UTF8'] = '1'
    try {
        $process = [System.Diagnostics.Process]::Start($info)
        $process.StandardInput.Close()
        $out = $process.StandardOutput.ReadToEndAsync()
        $err = $process.StandardError.ReadToEndAsync()
        if (-not $process.WaitForExit($Seconds * 1000)) {
            $process.Kill()
            return @{ Exit = 'no answer within {0} s' -f $Seconds; Out = ''; Err = '' }
        }
        return @{ Exit = $process.ExitCode; Out = $out.Result; Err = $err.Result }
    } catch {
        return @{ Exit = 'could not be started'; Out = ''; Err = "$_" }
    }
}

function Add-Section([string]$Title, [string]$File, [string]$Arguments, [int]$Seconds, [bool]$MustPass) {
    Write-Host "$Title ..."
    $began = Get-Date
    $result = Invoke-Bounded $File $Arguments $Seconds
    $took = ((Get-Date) - $began).TotalSeconds
    Add-Line "## $Title"
    Add-Line ''
    Add-Line ('`{0} {1}`: exit {2} after {3:n1} s' -f (Split-Path -Leaf $File), $Arguments, $result.Exit, $took)
    Add-Line ''
    Add-Line '```'
    Add-Line ($result.Out + $result.Err).Replace("`0", '').TrimEnd()
    Add-Line '```'
    Add-Line ''
    if ($MustPass -and $result.Exit -ne 0) { $script:failed++ }
    return $result.Out
}

$os = Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
Add-Line '# Catamaran on a real Windows'
Add-Line ''
Add-Line ('{0} {1}, build {2}.{3}, {4}, PowerShell {5}, {6:u}' -f $os.ProductName, $os.DisplayVersion, $os.CurrentBuild, $os.UBR, $env:PROCESSOR_ARCHITECTURE, $PSVersionTable.PSVersion, (Get-Date))
Add-Line ''

$wsl = Join-Path $env:SystemRoot 'System32\wsl.exe'
[void](Add-Section 'WSL version' $wsl '--version' 60 $false)
[void](Add-Section 'WSL status' $wsl '--status' 60 $false)
[void](Add-Section 'Distros' $wsl '--list --verbose' 60 $false)

$tests = Join-Path $here "real-$arch.exe"
$conformance = Add-Section 'Conformance of wsl.exe' $tests '-test.v -test.run=^TestConformance$ -test.timeout=30m' 1900 $true
$link = Add-Section 'Conformance of the link' $tests '-test.v -test.run=^TestLink$ -test.timeout=30m' 1900 $true
$questions = Add-Section 'Questions' $tests '-test.v -test.run=^TestQuestion -test.timeout=30m' 1900 $true

$app = Join-Path $here "catamaran-$arch\catamaran.exe"
if (Test-Path $app) {
    [void](Add-Section 'The app''s own version' $app 'version --json' 60 $true)
    [void](Add-Section 'The app''s own check' $app 'doctor' 180 $false)
    [void](Add-Section 'How this Windows knows the app' $app 'integrate' 60 $true)
}

$all = $conformance + $link + $questions
$passed = ([regex]::Matches($all, '(?m)^\s*--- PASS')).Count
$broken = ([regex]::Matches($all, '(?m)^\s*--- FAIL')).Count
$skipped = ([regex]::Matches($all, '(?m)^\s*--- SKIP')).Count
$answers = [regex]::Matches($all, 'ANSWER (.+)') | ForEach-Object { '- ' + $_.Groups[1].Value.Trim() }
$summary = @('## Summary', '', "$passed passed, $broken failed, $skipped skipped; $failed sections failed", '') + @($answers) + @('')
$lines.InsertRange(4, [string[]]$summary)
[System.IO.File]::WriteAllLines($Report, $lines, (New-Object System.Text.UTF8Encoding($false)))
Write-Host "$passed passed, $broken failed, $skipped skipped. The report is $Report"
if ($failed -gt 0 -or $broken -gt 0 -or $passed -eq 0) { exit 1 }

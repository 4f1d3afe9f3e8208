; Per user, no elevation. tools/dist defines VERSION, NUMBER, ROOT, OUT, ICON and, where files are signed, SIGN.
Target amd64-unicode
!include "MUI2.nsh"
!include "FileFunc.nsh"
Name "Catamaran"
OutFile "${OUT}"
RequestExecutionLevel user
InstallDir "$LOCALAPPDATA\Programs\Catamaran"
InstallDirRegKey HKCU "Software\Catamaran" "InstallDir"
SetCompressor /SOLID lzma
BrandingText " "
VIProductVersion "${NUMBER}"
VIAddVersionKey "ProductName" "Catamaran"
VIAddVersionKey "FileDescription" "Catamaran installer"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "MIT licence"
!ifdef SIGN
  !finalize '${SIGN} "%1"'
  !uninstfinalize '${SIGN} "%1"'
!endif

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_FINISHPAGE_RUN "$INSTDIR\catamaran.exe"
!define MUI_FINISHPAGE_RUN_TEXT "Open Catamaran"
!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Catamaran"

; A running desktop is asked to end, its backends with it: it refuses while agents
; work. Exit code 3 is "not running". The silent installer then fails with code 5.
!macro EndRunning un
  Function ${un}EndRunning
    IfFileExists "$INSTDIR\catamaran.exe" 0 done
    again:
    nsExec::ExecToStack '"$INSTDIR\catamaran.exe" quit'
    Pop $0
    Pop $1
    StrCmp $0 "0" done
    StrCmp $0 "3" done
    IfSilent 0 ask
    SetErrorLevel 5
    Quit
    ask:
    MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "Catamaran is running and can't be ended now.$\r$\n$\r$\n$1" IDRETRY again
    SetErrorLevel 5
    Quit
    done:
  FunctionEnd
!macroend
!insertmacro EndRunning ""
!insertmacro EndRunning "un."

Section "Catamaran"
  Call EndRunning
  SetOutPath "$INSTDIR"
  File /r "${ROOT}\*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\Catamaran.lnk" "$INSTDIR\catamaran.exe"
  WriteRegStr HKCU "Software\Catamaran" "InstallDir" "$INSTDIR"
  WriteRegStr HKCU "Software\Classes\catamaran" "" "URL:Catamaran"
  WriteRegStr HKCU "Software\Classes\catamaran" "URL Protocol" ""
  WriteRegStr HKCU "Software\Classes\catamaran\DefaultIcon" "" "$INSTDIR\catamaran.exe,0"
  WriteRegStr HKCU "Software\Classes\catamaran\shell\open\command" "" '"$INSTDIR\catamaran.exe" "%1"'
  WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "Catamaran"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\catamaran.exe,0"
  WriteRegStr HKCU "${UNINSTALL}" "Publisher" "Catamaran"
  WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" $0
SectionEnd

; The state folder (%LOCALAPPDATA%\Catamaran) holds threads and settings: it stays.
Section "Uninstall"
  Call un.EndRunning
  Delete "$SMPROGRAMS\Catamaran.lnk"
  Delete "$INSTDIR\catamaran.exe"
  Delete "$INSTDIR\catamaran.com"
  Delete "$INSTDIR\catamaran-backend.exe"
  Delete "$INSTDIR\catamaran-window.exe"
  Delete "$INSTDIR\LICENSE.txt"
  Delete "$INSTDIR\THIRD-PARTY-LICENSES.txt"
  RMDir /r "$INSTDIR\carried"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKCU "${UNINSTALL}"
  DeleteRegKey HKCU "Software\Classes\catamaran"
  DeleteRegKey HKCU "Software\Catamaran"
SectionEnd

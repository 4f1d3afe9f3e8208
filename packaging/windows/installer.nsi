; Per user, no elevation. Silent: setup.exe /S [/LINKS] [/MENU] [/D=folder].
; Exit code 5: Catamaran runs and cannot be ended now; nothing was changed.
; tools/dist defines VERSION, NUMBER, ROOT, OUT, ICON and, where files are signed, SIGN.
Target amd64-unicode
!include "MUI2.nsh"
!include "FileFunc.nsh"
!include "LogicLib.nsh"
!include "Sections.nsh"
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
!define MUI_COMPONENTSPAGE_NODESC
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Catamaran"

; Held puts a program's name into $3 when it is there and cannot be written.
!macro Held exe
  ${If} ${FileExists} "$INSTDIR\${exe}"
    ClearErrors
    FileOpen $0 "$INSTDIR\${exe}" a
    ${If} ${Errors}
      StrCpy $3 "${exe}"
    ${Else}
      FileClose $0
    ${EndIf}
  ${EndIf}
!macroend

; A running desktop is asked to end, its backends with it: it refuses while agents
; work. Exit code 3 is "not running". The silent installer then fails with code 5.
; A program that has just ended can be held for a moment more, by the system or a scanner.
!macro EndRunning un
  Function ${un}EndRunning
    IfFileExists "$INSTDIR\catamaran.exe" 0 done
    again:
    nsExec::ExecToStack '"$INSTDIR\catamaran.exe" quit'
    Pop $0
    Pop $1
    StrCmp $0 "0" free
    StrCmp $0 "3" free
    IfSilent 0 ask
    SetErrorLevel 5
    Quit
    ask:
    MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "Catamaran is running and can't be ended now.$\r$\n$\r$\n$1" IDRETRY again
    SetErrorLevel 5
    Quit
    free:
    ${ForEach} $2 1 100 + 1
      StrCpy $3 ""
      !insertmacro Held catamaran.exe
      !insertmacro Held catamaran.com
      !insertmacro Held catamaran-backend.exe
      !insertmacro Held catamaran-window.exe
      StrCmp $3 "" done
      Sleep 200
    ${Next}
    StrCpy $1 "$3 is in use by another program."
    IfSilent 0 ask
    SetErrorLevel 5
    Quit
    done:
  FunctionEnd
!macroend
!insertmacro EndRunning ""
!insertmacro EndRunning "un."

Section "Catamaran" Main
  SectionIn RO
  Call EndRunning
  SetOutPath "$INSTDIR"
  File /r "${ROOT}\*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\Catamaran.lnk" "$INSTDIR\catamaran.exe"
  WriteRegStr HKCU "Software\Catamaran" "InstallDir" "$INSTDIR"
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

; The program itself writes and removes these keys (catamaran integrate).
Section /o "catamaran:// links open the app" Links
SectionEnd
Section /o "$\"Open in Catamaran$\" on folders" Menu
SectionEnd
Section "-integrate"
  StrCpy $2 "--off=links"
  ${If} ${SectionIsSelected} ${Links}
    StrCpy $2 "--on=links"
  ${EndIf}
  ${If} ${SectionIsSelected} ${Menu}
    StrCpy $2 "$2 --on=menu"
  ${Else}
    StrCpy $2 "$2 --off=menu"
  ${EndIf}
  nsExec::ExecToStack '"$INSTDIR\catamaran.exe" integrate $2'
  Pop $0
  Pop $1
  ${If} $0 != "0"
    DetailPrint "Links and menu were not changed: $1"
  ${EndIf}
SectionEnd

; An upgrade begins with what is on now; the command line can add to it.
Function .onInit
  ${GetParameters} $2
  ReadRegStr $0 HKCU "Software\Classes\catamaran\shell\open\command" ""
  ClearErrors
  ${GetOptions} $2 "/LINKS" $3
  ${IfNot} ${Errors}
  ${OrIf} $0 != ""
    !insertmacro SelectSection ${Links}
  ${EndIf}
  ReadRegStr $0 HKCU "Software\Classes\Directory\shell\Catamaran\command" ""
  ClearErrors
  ${GetOptions} $2 "/MENU" $3
  ${IfNot} ${Errors}
  ${OrIf} $0 != ""
    !insertmacro SelectSection ${Menu}
  ${EndIf}
FunctionEnd

; The state folder (%LOCALAPPDATA%\Catamaran) holds threads and settings: it stays.
Section "Uninstall"
  Call un.EndRunning
  nsExec::ExecToStack '"$INSTDIR\catamaran.exe" integrate --off=links --off=menu --off=login'
  Pop $0
  Pop $1
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
  DeleteRegKey HKCU "Software\Catamaran"
SectionEnd

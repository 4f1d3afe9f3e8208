package wslsim

import (
	"io"
	"strings"
	"unicode/utf16"
)

// profile is what differs between versions of WSL.
type profile struct {
	// absent is the System32 stub without WSL [B10].
	absent bool
	// siblingBug: wslpath compares the distro name as a prefix [A5.1, P59].
	siblingBug bool
	// inbox is the closed program of Windows 10: no --version, --distribution-id and
	// --shell-type, no UTF-8, no code lines, lists that end lines with CR CR LF [B9].
	inbox   bool
	version string
}

var profiles = map[string]profile{
	"store-2.7":   {siblingBug: true, version: "2.7.7.0"},
	"store-2.9":   {version: "2.9.4.0"},
	"store-0.6x":  {siblingBug: true, version: "0.66.2.0"}, // UTF-8 since 0.64.0 [A1.7]
	"inbox-10":    {siblingBug: true, inbox: true},
	"stub-absent": {absent: true},
}

// words are the texts of one language; "" falls back to English [A1.7].
type words struct {
	label    string // with its colon and blanks, of the code line [A1.9]
	notFound string // E01 to E08
	noUser   string // E19, E20
	noDistro string // N02 to N04
	header   string // L01 to L07
	def      string // appended to the default distro
	status   [2]string
	version  [7]string // V01 to V07
}

var english = words{
	label:    "Error code: ",
	notFound: "There is no distribution with the supplied name.",
	noUser:   "User not found.",
	noDistro: "Windows Subsystem for Linux has no installed distributions.\r\nYou can resolve this by installing a distribution with the instructions below:\r\n\r\nUse 'wsl.exe --list --online' to list available distributions\r\nand 'wsl.exe --install <Distro>' to install.\r\n",
	header:   "Windows Subsystem for Linux Distributions:",
	def:      " (Default)",
	status:   [2]string{"Default Distribution: ", "Default Version: "},
	version:  [7]string{"WSL version: ", "Kernel version: ", "WSLg version: ", "MSRDC version: ", "Direct3D version: ", "DXCore version: ", "Windows version: "},
}

var locales = map[string]words{
	"en-US": english,
	"de-DE": {
		label: "Fehlercode: ", notFound: "Es ist keine Distribution mit dem angegebenen Namen vorhanden.",
		noDistro: "Windows-Subsystem für Linux verfügt über keine installierten Distributionen.\r\nSie können dies beheben, indem Sie eine Distribution mit den folgenden Anweisungen installieren:\r\n\r\n\"wsl.exe --list --online' zum Auflisten verfügbarer Distributionen verwenden\r\nund \"wsl.exe --install <Distro>\".\r\n",
		header:   "Windows Subsystem für Linux-Distributionen:", def: " (Standard)",
		version: [7]string{"WSL-Version: ", "Kernelversion: ", "WSLg-Version: ", "MSRDC-Version: ", "Direct3D-Version: ", "DXCore-Version: ", "Windows-Version: "},
	},
	"fr-FR": {
		label: "Code d'erreur\u00a0: ", notFound: "Il n’existe aucune distribution avec le nom fourni.", noUser: "Utilisateur introuvable.",
		header: "Distributions du Sous-système Windows pour Linux\u00a0:", def: " (par défaut)",
		status: [2]string{"Distribution par défaut\u00a0: ", "Version par défaut\u00a0: "},
	},
	"ja-JP": {
		label: "エラー コード: ", notFound: "指定された名前のディストリビューションはありません。", def: " (既定値)",
		noDistro: "Linux 用 Windows サブシステムにインストールされているディストリビューションはありません。\r\nこの問題を解決するには、以下の手順に従ってディストリビューションをインストールしてください:\r\n\r\n'wsl.exe --list --online' を使用して利用可能な配布を一覧表示する\r\nおよび 'wsl.exe --install <Distro>' を使用してインストールしてください。\r\n",
		version:  [7]string{"WSL バージョン: ", "カーネル バージョン: ", "WSLg バージョン: ", "MSRDC バージョン: ", "Direct3D バージョン: ", "DXCore バージョン: ", "Windows バージョン: "},
	},
	"ko-KR": {
		label: "오류 코드: ", def: "(기본값)",
		version: [7]string{"WSL 버전: ", "커널 버전: ", "WSLg 버전: ", "MSRDC 버전: ", "Direct3D 버전: ", "DXCore 버전: ", "Windows 버전: "},
	},
	"zh-CN": {
		label: "错误代码: ", header: "适用于 Linux 的 Windows 子系统分发:", def: " (默认值)",
		noDistro: "适用于 Linux 的 Windows 子系统没有已安装的分发。\r\n可按照以下说明安装分发来解决此问题:\r\n\r\n使用 'wsl.exe --list --online' 列出可用的分发\r\n和 'wsl.exe --install <Distro>' 进行安装。\r\n",
		version:  [7]string{"WSL 版本: ", "内核版本: ", "WSLg 版本: ", "MSRDC 版本: ", "Direct3D 版本: ", "DXCore 版本: ", "Windows 版本: "},
	},
	"zh-TW": {
		label: "錯誤碼: ", notFound: "沒有具有所提供名稱的發佈。",
		version: [7]string{"WSL 版本： ", "核心版本： ", "WSLg 版本： ", "MSRDC 版本： ", "Direct3D 版本： ", "DXCore 版本： ", "Windows 版本： "},
	},
	"ru-RU": {label: "Код ошибки: ", notFound: "Отсутствует распределение с указанным именем.", header: "Дистрибутивы подсистемы Windows для Linux:", def: " (по умолчанию)"},
	"tr-TR": {label: "Hata kodu: ", notFound: "Sağlanan ada sahip dağıtım yok."},
	"nb-NO": {label: "Feilkode: ", def: "\u00a0(standard)"},
}

func (s Scenario) words() words {
	w := locales[s.Locale]
	fill := func(p *string, en string) {
		if *p == "" {
			*p = en
		}
	}
	fill(&w.label, english.label)
	fill(&w.notFound, english.notFound)
	fill(&w.noUser, english.noUser)
	fill(&w.noDistro, english.noDistro)
	fill(&w.header, english.header)
	fill(&w.def, english.def)
	for i := range w.status {
		fill(&w.status[i], english.status[i])
	}
	for i := range w.version {
		fill(&w.version[i], english.version[i])
	}
	return w
}

const (
	textCopyright = "Copyright (c) Microsoft Corporation. All rights reserved.\r\n"
	textSuccess   = "The operation completed successfully. \r\n" // [B16]
	textAbsent    = "The Windows Subsystem for Linux is not installed. You can install by running 'wsl.exe --install'.\r\nFor more information please visit https://aka.ms/wslinstall\r\n"
	textBusy      = "An install, uninstall, or conversion is in progress for this distribution."
	textUsage     = textCopyright + "\r\nUsage: wsl.exe [Argument] [Options...] [CommandLine]\r\n"
	textNoRun     = "There are no running distributions.\r\n"
)

// encode is wsl.exe's own text mode: UTF-16LE without BOM, or UTF-8 when WSL_UTF8 is exactly 1 [A1.7, B12].
func encode(s string, utf8 bool) []byte {
	if utf8 {
		return []byte(s)
	}
	u := utf16.Encode([]rune(s))
	out := make([]byte, 0, 2*len(u))
	for _, c := range u {
		out = append(out, byte(c), byte(c>>8))
	}
	return out
}

// own writes text of wsl.exe itself.
type own struct {
	w    io.Writer
	utf8 bool
}

func (o own) print(s string) { _, _ = o.w.Write(encode(s, o.utf8)) }

// listing prints with CR CR LF where the version does that [A1.7, B9].
func (m *machine) listing(s string) {
	if m.profile.inbox {
		s = strings.ReplaceAll(s, "\r\n", "\r\r\n")
	}
	m.out.print(s)
}

type row struct {
	isDefault            bool
	name, state, version string
}

// listVerbose is the exact layout of --list --verbose [A1.3, B13, F01 to F06].
func listVerbose(rows []row) string {
	width := len("NAME")
	for _, r := range rows {
		width = max(width, len(utf16.Encode([]rune(r.name))))
	}
	width += 4
	var b strings.Builder
	line := func(mark, name, state, version string) {
		pad := width - len(utf16.Encode([]rune(name)))
		b.WriteString(mark + " " + name + strings.Repeat(" ", pad) + state + strings.Repeat(" ", max(0, 16-len(utf16.Encode([]rune(state))))) + version + "\r\n")
	}
	line(" ", "NAME", "STATE", "VERSION")
	for _, r := range rows {
		mark := " "
		if r.isDefault {
			mark = "*"
		}
		line(mark, r.name, r.state, r.version)
	}
	return b.String()
}

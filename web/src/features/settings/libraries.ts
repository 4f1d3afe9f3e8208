// What the programs and the page are linked with, and its licence. A test holds
// the page's half to package.json and the programs' half to go.mod.
export const libraries: [name: string, licence: string][] = [
  ["svelte", "MIT"],
  ["@shikijs/core", "MIT"],
  ["@shikijs/engine-javascript", "MIT"],
  ["@shikijs/langs", "MIT; each grammar under its own"],
  ["marked", "MIT"],
  ["dompurify", "MPL-2.0 or Apache-2.0"],
  ["github.com/Microsoft/go-winio", "MIT"],
  ["github.com/alecthomas/kong", "MIT"],
  ["github.com/charmbracelet/x/conpty", "MIT"],
  ["github.com/coder/websocket", "ISC"],
  ["github.com/creack/pty", "MIT"],
  ["github.com/hashicorp/yamux", "MPL-2.0"],
  ["golang.org/x/sync", "BSD-3-Clause"],
  ["golang.org/x/sys", "BSD-3-Clause"],
  ["golang.org/x/text", "BSD-3-Clause"],
  ["modernc.org/sqlite", "BSD-3-Clause"],
];

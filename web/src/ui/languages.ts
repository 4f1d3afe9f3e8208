// Which grammar a file's name asks for. The grammars are chunks of the
// highlighting worker; what is not here is shown without colours.

const byExtension: Record<string, string> = {
  ts: "typescript", mts: "typescript", cts: "typescript", js: "javascript", mjs: "javascript", cjs: "javascript", tsx: "tsx", jsx: "tsx",
  go: "go", py: "python", pyi: "python", rs: "rust", java: "java", kt: "kotlin", kts: "kotlin", c: "c", h: "c", cc: "c", cpp: "c", cxx: "c", hpp: "c", hh: "c", cs: "csharp", swift: "swift", rb: "ruby", rake: "ruby", php: "php",
  json: "json", jsonc: "json", json5: "json", webmanifest: "json", yaml: "yaml", yml: "yaml", toml: "toml", ini: "ini", cfg: "ini", conf: "ini", editorconfig: "ini", properties: "ini",
  html: "html", htm: "html", svg: "xml", xml: "xml", xaml: "xml", csproj: "xml", props: "xml", css: "css", scss: "scss", svelte: "svelte", vue: "vue", md: "markdown", markdown: "markdown", mdx: "markdown",
  sh: "shellscript", bash: "shellscript", zsh: "shellscript", fish: "shellscript", ps1: "powershell", psm1: "powershell", sql: "sql", lua: "lua", dart: "dart", proto: "proto", tf: "hcl", hcl: "hcl", mk: "make", diff: "diff", patch: "diff",
};
const byName: Record<string, string> = {
  dockerfile: "docker", containerfile: "docker", makefile: "make", gnumakefile: "make", gemfile: "ruby", rakefile: "ruby", "go.mod": "go", ".bashrc": "shellscript", ".profile": "shellscript", ".zshrc": "shellscript", ".gitconfig": "ini", ".npmrc": "ini",
};

/** languageOf is the grammar for a path, "" for none. */
export function languageOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const known = byName[name];
  if (known) return known;
  if (name.startsWith("dockerfile.")) return "docker";
  return byExtension[name.slice(name.lastIndexOf(".") + 1)] ?? "";
}

// How the highlighting worker is built, for the page and for its stories.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { constants, gzipSync } from "node:zlib";

/** Grammars that include JavaScript's get ours, see highlight/javascript.ts. */
const oneJavaScript = (root) => ({
  name: "one-javascript",
  enforce: "pre",
  resolveId(id, from) {
    const grammar = id === "@shikijs/langs/javascript" || (id === "./javascript.mjs" && from?.includes("@shikijs"));
    return grammar ? resolve(root, "src/highlight/javascript.ts") : undefined;
  },
});

export const worker = (root) => ({
  format: "es",
  plugins: () => [oneJavaScript(root)],
  rolldownOptions: { output: { chunkFileNames: "assets/lang-[name]-[hash].js" } },
});

/** Script of more bytes than this is packed too: it is the terminal's emulator. */
const large = 200_000;

/** packed keeps grammars and large scripts as gzip only: they are most of the page's size, and embed.go unpacks them for whoever takes no gzip. */
export const packed = (dist) => ({
  name: "packed-grammars",
  apply: "build",
  closeBundle() {
    const assets = join(dist, "assets");
    for (const name of readdirSync(assets)) {
      if (!/^(lang|worker)-.*\.js$/.test(name) && !(name.endsWith(".js") && statSync(join(assets, name)).size > large)) continue;
      writeFileSync(join(assets, `${name}.gz`), gzipSync(readFileSync(join(assets, name)), { level: constants.Z_BEST_COMPRESSION }));
      rmSync(join(assets, name));
    }
  },
});

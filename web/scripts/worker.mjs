// How the highlighting worker is built, for the page and for its stories, and how what was built is packed.
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

/** Files of fewer bytes stay as they are. */
const small = 1024;

/** packed keeps scripts and styles as gzip only: a third of the size in the program, and nothing to pack at its start. embed.go unpacks them for whoever takes no gzip. */
export const packed = (dist) => ({
  name: "packed",
  apply: "build",
  closeBundle() {
    const assets = join(dist, "assets");
    for (const name of readdirSync(assets)) {
      const file = join(assets, name);
      if (!/\.(js|css)$/.test(name) || statSync(file).size < small) continue;
      writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: constants.Z_BEST_COMPRESSION }));
      rmSync(file);
    }
  },
});

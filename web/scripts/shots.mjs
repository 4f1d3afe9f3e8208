// Screenshots of every story: node scripts/shots.mjs [out folder] [story ...]
// CHROMIUM names the browser (default: chromium from PATH).
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, preview } from "vite";

const [out = ".stories/shots", ...only] = process.argv.slice(2);
const config = "vite.stories.config.ts";
const all = [...readFileSync("fixtures/main.ts", "utf8").matchAll(/^ {2}"?([a-z-]+)"?: \{.*\},$/gm)].map((m) => m[1]);
const stories = only.length ? only : all;
const sizes = [
  ["wide", 1440, 900],
  ["narrow", 480, 900],
];

await build({ configFile: config, logLevel: "error" });
const server = await preview({ configFile: config, logLevel: "error", preview: { port: 0, host: "127.0.0.1" } });
const origin = server.resolvedUrls.local[0];
mkdirSync(out, { recursive: true });
const profile = mkdtempSync(join(tmpdir(), "catamaran-shots-"));

function shoot(file, url, width, height) {
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run", "--hide-scrollbars", `--user-data-dir=${profile}`, `--window-size=${width},${height}`, "--virtual-time-budget=3000", `--screenshot=${file}`, url];
  return new Promise((resolve, reject) => {
    const p = spawn(process.env.CHROMIUM ?? "chromium", args, { stdio: "ignore" });
    const deadline = setTimeout(() => p.kill("SIGKILL"), 60_000);
    p.on("error", reject);
    p.on("exit", (code) => {
      clearTimeout(deadline);
      if (code === 0) resolve();
      else reject(new Error(`${url}: the browser ended with ${code}`));
    });
  });
}

const widths = process.env.SIZES?.split(",");
const themes = process.env.THEMES?.split(",") ?? ["light", "dark"];
try {
  for (const story of stories)
    for (const theme of themes)
      for (const [name, w, h] of sizes) {
        if (widths && !widths.includes(name)) continue;
        await shoot(join(out, `${story}-${theme}-${name}.png`), `${origin}?story=${story}&theme=${theme}`, w, h);
      }
} finally {
  await server.close();
  rmSync(profile, { recursive: true, force: true });
}

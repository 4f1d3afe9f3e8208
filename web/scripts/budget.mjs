// Measures the built page against its budget: script of the first screen
// under 60 KB gzip, the whole embed under 1.5 MB. Exit 1 when it is over.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const dist = "dist";
const html = readFileSync(join(dist, "index.html"), "utf8");
const first = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((m) => m[1]);
const packed = (f) => (existsSync(`${f}.gz`) ? statSync(`${f}.gz`).size : gzipSync(readFileSync(f), { level: 9 }).length);
const gzip = first.map((f) => packed(join(dist, f))).reduce((a, b) => a + b, 0);
const all = (dir) => readdirSync(dir).map((n) => join(dir, n)).reduce((sum, p) => sum + (statSync(p).isDirectory() ? all(p) : statSync(p).size), 0);
const total = all(dist);
console.log(JSON.stringify({ firstScreenScriptGzip: gzip, firstScreenBudget: 60_000, embed: total, embedBudget: 1_500_000 }));
if (first.length === 0 || gzip > 60_000 || total > 1_500_000) process.exit(1);

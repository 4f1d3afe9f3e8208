import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { packed, worker } from "./scripts/worker.mjs";

declare const process: { env: Record<string, string | undefined> };

// The door of a running desktop, for `npm run dev`: its origin without a path.
const door = process.env.CATAMARAN_DOOR;

// The frame in index.html paints before anything of the page's own arrives: its
// styles are inline, so the rest of them need not be waited for.
const frameFirst: Plugin = {
  name: "frame-first",
  transformIndexHtml: {
    order: "post",
    handler(html) {
      const links = html.match(/^ *<link rel="stylesheet"[^>]*>\n/gm) ?? [];
      return links.reduce((h, l) => h.replace(l, ""), html).replace('    <div id="app">', `${links.join("")}    <div id="app">`);
    },
  },
};

// What every screen needs comes as one file beside the entry instead of a handful that wait for each other.
const base = new RegExp("node_modules/svelte/|/src/(platform/|api/|data/(app|attention|commands|door|environment|errors|history|keys|panels|quiet|reduce|route|settings|socket|thread|when|words)\\.|ui/(Button|Icon|Keys|Logo|Spinner|StatusDot|lazy|renderer|toast)\\.)");

export default defineConfig({
  plugins: [svelte(), frameFirst, packed("dist")],
  worker: worker("."),
  publicDir: "public",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    cssTarget: "chrome120",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "base", test: base }] } } },
  },
  server: door ? { proxy: { "/api": door, "/ws": { target: door, ws: true }, "/e": { target: door, ws: true } } } : {},
  test: { include: ["src/**/*.test.ts"], environment: "node", css: true },
});

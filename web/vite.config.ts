import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { packed, worker } from "./scripts/worker.mjs";

declare const process: { env: Record<string, string | undefined> };

// The door of a running desktop, for `npm run dev`: its origin without a path.
const door = process.env.CATAMARAN_DOOR;

export default defineConfig({
  plugins: [svelte(), packed("dist")],
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
  },
  server: door ? { proxy: { "/api": door, "/ws": { target: door, ws: true }, "/e": { target: door, ws: true } } } : {},
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});

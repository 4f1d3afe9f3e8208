import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { worker } from "./scripts/worker.mjs";

// The page with canned answers, for looking at every state. Never part of dist.
export default defineConfig({
  root: "fixtures",
  publicDir: "../public",
  plugins: [svelte({ configFile: "../svelte.config.js" })],
  worker: worker("."),
  build: { outDir: "../.stories", emptyOutDir: true, target: "es2023" },
});
